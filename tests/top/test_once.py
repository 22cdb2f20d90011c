"""``netkit top`` as a process: snapshots, and what cannot be."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

import pytest

from tests.commands import netkit_beside
from tests.runtime.process import LOOPS, serving
from tests.workers.crew import ON_TCP, WHO, echoes, one_of_each

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio"])

on_each_loop = pytest.mark.parametrize("loop", LOOPS)


async def run(*words: object) -> tuple[int, str, str]:
    """Status of ``netkit top``, and what it says on standard output and error."""
    ended = await netkit_beside("top", *words)
    return ended.status, ended.output, ended.errors


@on_each_loop
async def test_a_snapshot(loop: str, tmp_path: Path) -> None:
    app, admin = tmp_path / "app.py", f"unix:{tmp_path}/admin.sock"
    app.write_text(WHO)
    words = (f"{app}:handle", *ON_TCP, "--workers", 2, "--admin", admin)
    async with serving(*words, loop=loop) as server:
        found = await one_of_each(server.ports[0], 2)
        for talker in found.values():
            assert await echoes(talker, b"x" * 1000 + b"\n")
        status, text, _ = await run(admin, "--once", "--interval", 0.1)
        assert status == 0
        title, totals, _, of_workers, *rest = text.splitlines()
        assert title.startswith(f"{admin}  netkit ")
        assert totals.startswith("open ")
        assert of_workers.split()[:4] == ["WORKER", "PID", "STATE", "AGE"]
        assert [line.split()[2] for line in rest[:2]] == ["serving", "serving"]
        assert {int(line.split()[1]) for line in rest[:2]} == set(found)
        peers = {"{}:{}".format(*talker.sock.getsockname()) for talker in found.values()}
        assert peers <= {line.split()[2] for line in rest[4:]}

        status, text, _ = await run(admin, "--once", "--json", "--interval", 0.1)
        told = json.loads(text)
        assert {each["pid"] for each in told["workers"]} == set(found)
        assert told["per_second"]["accepted"] == 0
        for each in told["workers"]:
            assert each["counters"]["received"] >= 1001
            assert each["gauges"]["resident"] > 1_000_000
            assert each["answers"]
            assert not each["leaving"]
        assert {each["peer"] for each in told["connections"]} >= peers
        assert {"received": 0.0, "sent": 0.0} in [e["per_second"] for e in told["connections"]]
        for talker in found.values():
            talker.sock.close()


@on_each_loop
async def test_one_process_over_tcp(loop: str, tmp_path: Path) -> None:
    async with serving("echo", *ON_TCP, "--admin", "127.0.0.1:0", loop=loop) as server:
        (line,) = await server.logged("admin on ")
        admin = line.rpartition(" ")[2]
        status, text, _ = await run(admin, "--once", "--json", "--interval", 0.1)
        assert status == 0
        (worker,) = json.loads(text)["workers"]
        assert (worker["worker"], worker["pid"]) == (0, server.process.pid)
        assert worker["gauges"]["lag"] >= 0


async def test_what_cannot_be_is_one_line(tmp_path: Path) -> None:
    admin = f"unix:{tmp_path}/admin.sock"
    async with serving("daytime", *ON_TCP, loop="uvloop") as server:  # which is no admin endpoint
        for words, status, says in (
            ((admin, "--once"), 1, "No such file or directory; is a server there"),
            (("udp://127.0.0.1:1",), 2, "an admin address is unix:PATH or HOST:PORT"),
            ((admin, "--once", "--interval", "nan"), 2, "--interval nan: give 0.1 to 3600 seconds"),
            ((admin, "--json"), 2, "--json: give --once with it"),
            ((admin,), 2, "is no terminal; add --once"),
            ((f"127.0.0.1:{server.ports[0]}", "--once"), 1, "no whole answer of HTTP"),
        ):
            found, said, complaint = await run(*words)
            assert (found, said, len(complaint.splitlines())) == (status, "", 1), complaint
            assert says in complaint


async def test_without_textual_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "textual.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'textual'\", name='textual')\n"
    )
    words = [sys.executable, "-c", _AT_A_TERMINAL, "top", f"unix:{tmp_path}/admin.sock"]
    process = await asyncio.create_subprocess_exec(
        *words, stdin=DEVNULL, stderr=PIPE, env={**os.environ, "PYTHONPATH": str(tmp_path)}
    )
    _, complaint = await process.communicate()
    assert process.returncode == 2
    assert complaint.decode() == (
        "netkit: error: top: textual is not installed: "
        "pip install 'netkit-serve[top]'; or add --once\n"
    )


_AT_A_TERMINAL = """
import sys
for stream in (sys.stdin, sys.stdout, sys.stderr):
    stream.isatty = lambda: True
from netkit.cli import main
main()
"""
