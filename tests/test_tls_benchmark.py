"""The TLS benchmark runs from end to end; how fast anything is, it is not asked here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmarks import tls
from benchmarks.command import Asked
from benchmarks.compare import Spread
from benchmarks.load import Workload, compiled
from benchmarks.process import BenchmarkError, Server
from benchmarks.tls_contenders import MODES, Contender, contenders
from benchmarks.tls_load import OPENSSL, Secured, holding
from benchmarks.tls_rows import KIB, MemoryRow, Row, Work, tables
from benchmarks.tls_verdict import verdict

from netkit.certificates.develop import Development, development

from .peers import peer

ROOT = Path(__file__).resolve().parents[1]
ASKED = Asked(quick=True, rounds=1, loops=("uvloop",), only=())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Development:
    """One development certificate for all."""
    return development(tmp_path_factory.mktemp("certs"))


def quickly(only: str, folder: Path) -> list[dict[str, Any]]:
    """What a quick run recorded."""
    peer("cc")
    words = ["--quick", "--loop", "uvloop", "--only", only, "--results", str(folder)]
    assert tls.main(words) == 0
    found: list[dict[str, Any]] = json.loads((folder / "tls.json").read_text())
    return found


def test_every_work_is_done_and_every_byte_comes_back(tmp_path: Path) -> None:
    rows = quickly("plain protocol", tmp_path)
    plan = tls.planned(ASKED)
    wanted = [work.name for work in (*plan.works, *plan.holds)]
    assert [row["work"] for row in rows[::2]] == wanted
    assert [row["name"] for row in rows[:2]] == ["C", "plain protocol, uvloop"]
    for row in rows:
        for window in row.get("windows", []):
            assert window["messages"] > 0
            assert window["sent"] == window["echoed"] or "down" in row["work"]
            assert window["resumed"] == (window["messages"] if "resumed" in row["work"] else 0)
            assert window["negotiated"] == "TLSv1.3, TLS_AES_128_GCM_SHA256, x25519, EC 256"
        assert len(row.get("windows") or row["bytes"]) == 1


@pytest.mark.parametrize("work", ["1 KiB over 100, netkit", "64 KiB down, netkit", "half-open, ne"])
def test_netkit_is_measured_with_handlers_of_three_kinds(work: str, tmp_path: Path) -> None:
    names = {row["name"] for row in quickly(work, tmp_path)}
    assert {"C", "netkit protocol, uvloop", "netkit streams, uvloop"} <= names
    assert ("netkit echo, uvloop" in names) == ("down" not in work)


@pytest.mark.parametrize("program", ["node", "nginx", "stunnel"])
def test_others_do_the_same_work(program: str, tmp_path: Path) -> None:
    peer(program)
    name = {"node": "Node"}.get(program, program)
    for row in quickly(f"64 KiB up, {name}", tmp_path):
        (window,) = row["windows"]
        assert 0 < window["messages"] <= window["echoed"] == window["sent"]


def test_who_is_not_installed_is_left_out_with_the_reason(
    certificate: Development, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer("cc")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("benchmarks.tls_contenders.no_terminator", lambda: "not yet")
    found, left_out = contenders(ASKED, certificate, tmp_path)
    assert {"C", "netkit echo, uvloop"} <= {it.name for it in found}
    assert "stunnel" not in {it.name for it in found}
    assert {"netkit tls --to: not yet", "stunnel: stunnel is not installed"} <= set(left_out)


LIARS = {
    "echo": ("Echo", "what came back is not what was sent"),
    "upload": ("Sink", "an answer is not the last byte of a MiB that was sent"),
    "download": ("Source", "what came is not what the source sends"),
}
LIAR = """
import asyncio, sys
from benchmarks.peers import tls
class Liar(tls.{name}):
    def connection_made(self, transport):
        super().connection_made(transport)
        right = transport.write
        class Wrong:
            def write(self, data):
                data = bytearray(data)
                data[-1] ^= 1
                right(bytes(data))
        self.transport = Wrong()
asyncio.run(tls.main(Liar, *sys.argv[1:]))
"""


@contextmanager
def serving(
    script: str, certificate: Development
) -> Iterator[tuple[subprocess.Popen[str], Server]]:
    """A server in a script, which says its port first."""
    words = [sys.executable, "-c", script, str(certificate.cert), str(certificate.key)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        port = int(child.stdout.readline().rpartition(":")[2])
        yield child, Server(child.pid, port, Path())
        child.kill()


@pytest.mark.parametrize("mode", LIARS)
def test_a_server_that_spoils_a_byte_is_told_on(mode: str, certificate: Development) -> None:
    peer("cc")
    name, complaint = LIARS[mode]
    with serving(LIAR.format(name=name), certificate) as (_, server):
        words = ["--mode", mode, "--port", str(server.port), "--size", "65536"]
        done = subprocess.run(
            [compiled("tls_load.c", *OPENSSL), *words], capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert complaint in done.stderr


LEAVER = """
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(*sys.argv[1:])
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
connection = context.wrap_socket(listener.accept()[0], server_side=True)
connection.sendall(connection.recv(64))
connection.close()
print("closed", flush=True)
listener.accept()
"""


def test_a_connection_that_was_not_held_is_told_of(certificate: Development) -> None:
    peer("cc")
    with serving(LEAVER, certificate) as (child, server):
        assert child.stdout
        held = holding(server, Workload(1, 64, "idle"))
        held.__enter__()
        assert child.stdout.readline() == "closed\n"
        with pytest.raises(BenchmarkError, match="closed a connection that was to be held"):
            held.__exit__(None, None, None)


WINDOW = Secured(
    messages=1000,
    seconds=1.0,
    server_cpu=0.5,
    p50_us=10.0,
    p99_us=20.0,
    sent=1000,
    echoed=1000,
    connections=10,
    resumed=0,
    negotiated="one",
)


def row(name: str, mode: str, window: Secured, *, ours: bool = False) -> Row:
    """A row of one window; `tls` in a name says that it is a terminator."""
    contender = Contender(name, no_start, MODES, ours, terminator=name in ("nginx", "netkit tls"))
    return Row(Work(mode, Workload(10, 64, mode), "a second"), contender, [window])


def no_start(mode: str) -> Any:
    """Nothing is started here."""
    raise AssertionError(mode)


def test_aims_are_judged_beside_the_right_ones() -> None:
    slower = replace(WINDOW, messages=500, sent=500, echoed=500)
    rows = [
        row("C", "echo", WINDOW),
        row("netkit protocol", "echo", slower, ours=True),
        row("netkit tls", "echo", slower, ours=True),
        row("plain", "echo", slower),
        row("nginx", "echo", slower),
        row("Node", "echo", WINDOW),
    ]
    said = verdict(rows, []).splitlines()
    assert said == [
        "- 1 KiB echo at least 0.60 of C: kept in 0 rows; "
        "missed in 1: echo, netkit protocol **0.50** (0.50-0.50)",
        "- echo and bulk ahead of Node, nginx and stunnel (at least 1.00): kept in 2 rows; "
        "missed in 1: echo, netkit protocol beside Node **0.50** (0.50-0.50)",
    ]


def test_a_server_that_resumes_nothing_is_not_compared() -> None:
    resumed = replace(WINDOW, resumed=1000)
    rows = [
        row("C", "resume", resumed),
        row("netkit protocol", "resume", resumed, ours=True),
        row("Node", "resume", replace(WINDOW, resumed=999)),
    ]
    lines = tables(rows, []).splitlines()
    assert "**1.00** (1.00-1.00)" in lines[3]
    assert "resume (not resumed)" in lines[4]
    assert "**" not in lines[4]
    assert "kept in 1 rows" in verdict(rows, []).splitlines()[0]


def test_memory_is_judged_for_each_connection() -> None:
    work = Work("idle after 1 KiB", Workload(10, 64, "idle"), "KiB")
    ours = Contender("netkit", no_start, ours=True)
    kept = MemoryRow(work, ours, [64.0 * KIB])
    missed = MemoryRow(replace(work, name="idle after 64 KiB"), ours, [65.0 * KIB])
    assert verdict([], [kept, missed]) == (
        "- an idle connection at most 64 KiB: kept in 1 rows; "
        "missed in 1: idle after 64 KiB, netkit 65.0 (65.0-65.0)"
    )
    assert Spread.of(kept.each).middle == 64 * KIB


def test_different_ciphers_are_not_compared() -> None:
    rows = [row("C", "echo", WINDOW), row("Node", "echo", replace(WINDOW, negotiated="other"))]
    with pytest.raises(BenchmarkError, match="C: one; Node: other"):
        tls.agreed(rows)
