"""Out of descriptors: the server neither spins nor dies, and recovers by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.runtime.process import LOOPS, ServerProcess, serving
from tests.runtime.talkers import Talker

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),
    pytest.mark.parametrize("loop", LOOPS),
]

ON_TCP = ("--bind", "tcp://127.0.0.1:0")
FEW = 64
BEFORE = (
    sys.executable,
    "-c",
    "import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, "
    f"({FEW}, {FEW})); os.execv(sys.argv[1], sys.argv[1:])",
)
"""Runs a command with so few descriptors, also as the hard limit."""

WINDOW = 2.0
"""Seconds over which CPU time is observed; a spinning loop uses about as many."""

GREEDY = """
import asyncio

kept = []


async def handle(reader, writer):
    "Echo lines; at the line `grab` take every descriptor that there is, at `free` close them."
    while line := await reader.readline():
        if line == b"grab\\n":
            try:
                while True:
                    kept.append(open("/dev/null"))
            except OSError:
                pass
        elif line == b"free\\n":
            while kept:
                kept.pop().close()
        writer.write(line)
        await writer.drain()
"""


async def test_connections_take_every_descriptor(loop: str) -> None:
    async with (
        serving("echo", *ON_TCP, loop=loop, before=BEFORE) as server,
        AsyncExitStack() as stack,
    ):
        talkers = [await Talker.connect(server.ports[0]) for _ in range(2 * FEW)]
        for each in talkers:
            stack.callback(each.sock.close)
            await each.write(b"hello\n")
        assert await talkers[0].read() == b"hello\n"
        await assert_calm(server)
        for each in talkers[:FEW]:
            each.sock.close()
        for each in talkers[FEW : FEW + 8]:  # those who waited
            assert await each.read() == b"hello\n"
        for each in talkers:
            each.sock.close()
        await assert_serves(server)
        await stack.aclose()
        assert await server.stop() == -signal.SIGTERM


async def test_a_handler_takes_every_descriptor(loop: str, tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text(GREEDY)
    async with (
        serving(f"{app}:handle", *ON_TCP, loop=loop, before=BEFORE) as server,
        AsyncExitStack() as stack,
    ):
        greedy = await Talker.connect(server.ports[0])
        stack.callback(greedy.sock.close)
        await greedy.write(b"grab\n")
        assert await greedy.read() == b"grab\n"
        assert server.descriptors() == FEW
        for _ in range(20):
            newcomer = await Talker.connect(server.ports[0])
            stack.callback(newcomer.sock.close)
            await newcomer.write(b"hello\n")
        await assert_calm(server)
        await greedy.write(b"free\n")  # who is connected is served all the while
        assert await greedy.read() == b"free\n"
        await assert_serves(server)
        await stack.aclose()
        assert await server.stop() == -signal.SIGTERM


async def test_a_handler_takes_every_descriptor_under_tls(loop: str, tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text(GREEDY)
    # Newcomers that never shake hands have two descriptors each until their time is over, and
    # too few are left for all of them at once: who comes after them waits as long.
    binds = (*ON_TCP, "--bind", "tls://127.0.0.1:0", "--tls", "--limit-handshake", 1)
    async with (
        serving(f"{app}:handle", *binds, loop=loop, before=BEFORE) as server,
        AsyncExitStack() as stack,
    ):
        greedy = await Talker.connect(server.ports[0])
        stack.callback(greedy.sock.close)
        await greedy.write(b"grab\n")
        assert await greedy.read() == b"grab\n"
        for _ in range(20):
            newcomer = await Talker.connect(server.ports[1])
            stack.callback(newcomer.sock.close)
        await assert_calm(server)
        await greedy.write(b"free\n")
        assert await greedy.read() == b"free\n"
        await assert_serves(server)
        await stack.aclose()
        assert await server.stop() == -signal.SIGTERM


async def assert_calm(server: ServerProcess) -> None:
    """It lives, uses hardly any CPU time, and says what is the matter in few lines."""
    before = cpu_seconds(server)
    await asyncio.sleep(WINDOW)  # the time of observation, waited for nothing
    assert cpu_seconds(server) - before < WINDOW / 4
    assert server.process.returncode is None
    assert len(server.lines) < 20, server.log


async def assert_serves(server: ServerProcess) -> None:
    """A newcomer is answered; one that is let down for want of descriptors asks again."""
    answer = b""
    while not answer:
        talker = await Talker.connect(server.ports[0])
        try:
            await talker.write(b"again\n")
            answer = await talker.read()
        except ConnectionError:
            continue
        finally:
            talker.sock.close()
    assert answer == b"again\n"
    assert not server.complaints()


def cpu_seconds(server: ServerProcess) -> float:
    """CPU time used so far, in user and kernel mode (proc_pid_stat(5))."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
