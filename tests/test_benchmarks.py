"""Each benchmark runs from end to end; how fast anything is, it is not asked here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from math import comb
from pathlib import Path
from typing import Any

import pytest
from benchmarks import commands
from benchmarks.process import BenchmarkError
from benchmarks.spread import chances

from .peers import peer

ROOT = Path(__file__).resolve().parents[1]
MESSAGES = 300
PAIRS = {f"{api}, {loop}" for api in ("protocol", "streams") for loop in ("asyncio", "uvloop")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[dict[str, Any]]]:
    """Stdout and the recorded windows of one quick run."""
    peer("cc")
    folder = tmp_path_factory.mktemp("results")
    done = subprocess.run(
        [
            *[sys.executable, "benchmarks/echo.py", "--quick"],
            *["--messages", str(MESSAGES), "--results", str(folder)],
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads((folder / "echo.json").read_text())


def test_every_message_comes_back(finished: tuple[str, list[dict[str, Any]]]) -> None:
    _, rows = finished
    windows = [w for row in rows for w in row["plain"] + row["netkit"] if isinstance(w, dict)]
    assert len(windows) >= 2 * len(PAIRS)
    for window in windows:
        assert window["sent"] == window["echoed"]
        assert MESSAGES <= window["messages"] <= window["echoed"]
        assert window["seconds"] > 0
        assert window["server_cpu"] >= 0  # the kernel books it by its tick, longer than a window


def test_each_netkit_server_stands_beside_its_twin(
    finished: tuple[str, list[dict[str, Any]]],
) -> None:
    _, rows = finished
    compared = {(row["work"], row["name"]) for row in rows if row["netkit"]}
    works = {work for work, _ in compared}
    assert {"64 B over 1", "1 KiB over 100", "connect, 64 B, close", "idle connection"} <= works
    assert compared == {(work, name) for work in works for name in PAIRS}
    assert all(len(row["plain"]) == len(row["netkit"]) for row in rows if row["netkit"])


def test_one_table_holds_every_row(finished: tuple[str, list[dict[str, Any]]]) -> None:
    stdout, rows = finished
    lines = [line for line in stdout.splitlines() if line.startswith("| ")]
    assert len(lines) == len(rows) + 2  # the head and its rule
    assert len({line.count("|") for line in lines}) == 1


def test_a_server_that_spoils_a_byte_is_told_on(tmp_path: Path) -> None:
    program = tmp_path / "load"
    subprocess.run([peer("cc"), "-O1", "-o", program, ROOT / "benchmarks/load.c"], check=True)
    liar = subprocess.Popen(
        [sys.executable, "-c", SPOILED], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    with liar:
        assert liar.stdout
        port = liar.stdout.readline().strip()
        done = subprocess.run([program, "--port", port], capture_output=True, text=True)
        liar.kill()
    assert done.returncode == 1
    assert "what came back is not what was sent" in done.stderr


def quickly(name: str, only: str, folder: Path) -> Any:
    """What a quick run of one of the smaller benchmarks recorded; its table has a row for each."""
    peer("cc")
    words = [sys.executable, "-m", f"benchmarks.{name}", "--quick", "--only", only]
    done = subprocess.run(
        [*words, "--results", str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (folder / f"{name}.md").read_text() == done.stdout
    return json.loads((folder / f"{name}.json").read_text())


@pytest.mark.parametrize("job", ["TLS handshake", "64 B over 100, uvloop"])
def test_two_workers_are_measured_beside_one(job: str, tmp_path: Path) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("two workers need two cores")
    peer("openssl")
    (row,) = quickly("workers", job, tmp_path)["rows"]
    for setting in ("one", "same", "two"):
        (turn,) = row[setting]
        assert turn["operations"] > 0
        assert turn["seconds"] > 0


def test_no_connection_is_missing_in_the_shares(tmp_path: Path) -> None:
    counts = quickly("spread", "tls", tmp_path)
    assert {count["source"] for count in counts} == {"one address", "250 addresses"}
    assert all(sum(count["shares"]) == 100 for count in counts)


def test_chances_are_those_of_dice() -> None:
    coins = [comb(10, heads) / 2**10 for heads in range(11)]
    off, apart = chances(10, 2)
    assert off == pytest.approx(1 - sum(coins[4:7]))  # 5 and 1 more or less
    assert apart == pytest.approx(1 - coins[5])  # both get 5, or they are 2 apart
    assert chances(3, 3)[0] == pytest.approx(1 - 6 / 27)


def test_memory_is_measured_of_all_processes(tmp_path: Path) -> None:
    plain, two = quickly("idle", "protocol", tmp_path)
    assert [each["processes"] for each in plain["found"]] == [1]
    assert [each["processes"] for each in two["found"]] == [3]
    assert all(each["after"] > 0 for row in (plain, two) for each in row["found"])


def test_a_server_with_admin_stands_beside_one_without(tmp_path: Path) -> None:
    (row,) = quickly("admin", "64 B over 100, protocol", tmp_path)
    for window in row["compared"]["plain"] + row["compared"]["netkit"]:
        assert 0 < window["sent"] == window["echoed"]


@pytest.mark.parametrize("attack", ["half-open", "a byte a second, "])
def test_clients_are_measured_beside_attackers(attack: str, tmp_path: Path) -> None:
    (row,) = quickly("attackers", attack, tmp_path)
    for waits in row["calm"] + row["attacked"]:
        assert waits["messages"]
        assert waits["visits"]
    assert bool(row["lived"]) == (attack == "half-open")  # nothing ends the others


def test_datagrams_are_counted_for_every_contender(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("another process's socket is looked at: it takes root")
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("a flood needs a core beside its receiver's")
    rows = {row["name"]: row["windows"] for row in quickly("datagrams", "512 B", tmp_path)["rows"]}
    assert {"netkit, uvloop", "plain, uvloop", "C, offload"} <= set(rows)
    for name, windows in rows.items():
        if windows["receive"] and name != "iperf3 -u":
            assert [each["lost"] for each in windows["receive"]] == [0], name
        for way in ("send", "receive"):
            assert all(each["datagrams"] > 0 for each in windows[way]), name


def test_every_tick_has_its_error(tmp_path: Path) -> None:
    ticker, call_at = (
        quickly("pacing", way, tmp_path)[0]["errors"] for way in ("Ticker", "call_at")
    )
    assert len(ticker) >= 300  # the last one may have come together with missed ones
    assert len(call_at) == 300
    assert min(ticker) >= 0


SPOILED = """
import socket
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
connection, _ = listener.accept()
data = bytearray(connection.recv(64))
data[10] ^= 1
connection.sendall(data)
connection.recv(1)
"""


@pytest.mark.parametrize("work", ["start, 8", "stream", "lines"])
def test_commands_are_measured_beside_others(work: str, tmp_path: Path) -> None:
    peer("cc")
    peer("parallel")
    words = ["--quick", "--loop", "uvloop", "--only", work, "--results", str(tmp_path)]
    assert commands.main(words) == 0
    turns = json.loads((tmp_path / "commands.json").read_text())
    names = {turn["name"] for turn in turns}
    assert {"C", "GNU parallel"} <= names or work == "stream"
    assert any(name.startswith(("Runner", "netkit run")) for name in names)
    assert all(turn["rate"] > 0 for turn in turns)


def test_a_broken_line_is_told_of() -> None:
    work = commands.Work("lines", 2, ())
    text = "printf '1\\tline 1 of some text to read\\n1\\tline 2 of some'"
    contender = commands.Contender(work, "sh", ("sh", "-c", text), tells=False)
    assert commands.done(contender).broken == 1
    with pytest.raises(BenchmarkError, match="1 lines are broken"):  # of ours it is a fault
        commands.done(replace(contender, aimed=True))
