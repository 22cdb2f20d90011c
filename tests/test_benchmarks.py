"""The echo benchmark runs from end to end; how fast anything is, it is not asked here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

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
