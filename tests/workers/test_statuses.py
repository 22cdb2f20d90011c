"""Exit statuses with workers; those of one process are in tests/runtime/test_options.py."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from tests.runtime.process import LOOPS, serving
from tests.runtime.test_options import refusal
from tests.workers.crew import ON_TCP, replaced, serves, workers

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),
    pytest.mark.parametrize("loop", LOOPS),
]

ENDS = """
import os

async def handle(reader, writer):
    "Say who serves, then end as told."
    writer.write(b"%d\\n" % os.getpid())
    os._exit(int(await reader.readline()))
"""


async def test_a_port_that_is_taken(loop: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        words = ("--port", taken.getsockname()[1], "--workers", 2, "--loop", loop)
        assert "the port is taken" in await refusal("echo", *words, status=3)


async def test_what_only_a_worker_finds_wrong(loop: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("async def handle(reader, writer): pass\n")
    words = ("app.py:handle", "--bind", "udp://127.0.0.1:0", "--workers", 2, "--loop", loop)
    assert "this server has no datagrams" in await refusal(*words, folder=tmp_path)


@pytest.mark.parametrize("status", [0, 1, 7])
async def test_a_worker_that_ends_by_itself(loop: str, status: int, tmp_path: Path) -> None:
    path = tmp_path / "app.py"
    path.write_text(ENDS)
    async with serving(f"{path}:handle", *ON_TCP, "--workers", 2, loop=loop) as server:
        talker, pid = await serves(server.ports[0])
        await talker.write(b"%d\n" % status)
        (line,) = await server.logged("died")
        assert f"(pid {pid}) died: exit status {status}; starting another" in line
        with suppress(ConnectionResetError):
            assert await talker.read() == b""
        talker.sock.close()
        await replaced(server, {pid}, 2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGSEGV], ids=lambda each: each.name)
async def test_a_worker_that_a_signal_ends(
    loop: str, number: signal.Signals, tmp_path: Path
) -> None:
    """A TERM that the supervisor did not send: the worker drains and leaves, another comes."""
    path = tmp_path / "app.py"
    path.write_text(ENDS)
    async with serving(f"{path}:handle", *ON_TCP, "--workers", 2, loop=loop) as server:
        victim = min(workers(server))
        os.kill(victim, number)
        (line,) = await server.logged("died")
        assert f"(pid {victim}) died: {number.name}; starting another" in line
        await replaced(server, {victim}, 2)
        assert await server.stop() == -signal.SIGTERM
