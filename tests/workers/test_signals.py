"""What each signal does to a server, alone and with workers; a reload has tests of its own."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

import pytest

from tests.runtime.process import COMMAND, LOOPS, ServerProcess, serving
from tests.runtime.talkers import Talker
from tests.workers.crew import ON_TCP, STARTS, WHO, echoes, replaced, serves, workers

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),
    pytest.mark.parametrize("loop", LOOPS),
]
either = pytest.mark.parametrize("count", [1, 2])

STAYS = """
import asyncio

async def handle(reader, writer):
    "Outlast every grace period."
    writer.write(b"here\\n")
    await asyncio.Event().wait()
"""

TAKES = """
import asyncio, signal
from dataclasses import dataclass, field
import netkit

@dataclass
class Takes(netkit.Service):
    "Tell all connections of USR1."
    async def __aenter__(self):
        self.writers = []
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self.tell)
        return self
    def tell(self):
        for writer in self.writers:
            writer.write(b"USR1\\n")
    async def handle(self, reader, writer):
        self.writers.append(writer)
        writer.write(b"here\\n")
        await reader.read()
"""


@pytest.fixture
def app(tmp_path: Path) -> str:
    path = tmp_path / "app.py"
    path.write_text(WHO)
    return f"{path}:handle"


@either
@pytest.mark.parametrize(
    ("first", "second", "death"),
    [
        (signal.SIGTERM, signal.SIGTERM, signal.SIGTERM),
        (signal.SIGINT, signal.SIGINT, signal.SIGINT),
        (signal.SIGQUIT, signal.SIGQUIT, signal.SIGTERM),
        (signal.SIGTERM, signal.SIGINT, signal.SIGTERM),
    ],
    ids=lambda each: each.name,
)
async def test_the_first_drains_and_the_second_ends_it(
    loop: str,
    count: int,
    first: signal.Signals,
    second: signal.Signals,
    death: signal.Signals,
    tmp_path: Path,
) -> None:
    path = tmp_path / "app.py"
    path.write_text(STAYS)
    # The test's own timeout is shorter than this grace period.
    words = (f"{path}:handle", *ON_TCP, "--workers", count, "--timeout-graceful-shutdown", 3600)
    async with serving(*words, loop=loop, before=("setsid",)) as server:
        talker = await Talker.connect(server.ports[0])
        assert await talker.read() == b"here\n"
        children = workers(server)
        os.killpg(server.process.pid, first)  # as a terminal does
        await server.logged("draining 1 connection, for at most 3600 s")
        assert children == workers(server) or count > 1
        os.killpg(server.process.pid, second)
        assert await server.ended() == -death
        talker.sock.close()
        assert not server.complaints()


IDLE = [signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE, signal.SIGWINCH, signal.SIGCONT]


@either
async def test_others_do_nothing(loop: str, count: int, app: str) -> None:
    words = (app, *ON_TCP, "--workers", count)
    async with serving(*words, loop=loop, before=("setsid",)) as server:
        talker, _ = await serves(server.ports[0])
        before = workers(server)
        for number in IDLE:
            os.killpg(server.process.pid, number)
            assert await echoes(talker)
            newcomer, _ = await serves(server.ports[0])
            newcomer.sock.close()
        talker.sock.close()
        assert workers(server) == before
        assert await server.stop() == -signal.SIGTERM
        assert not server.complaints("warning", "error")


@either
async def test_a_log_that_nobody_reads_any_more_stops_nothing(
    loop: str, count: int, app: str
) -> None:
    """As in ``… 2>&1 | head -1``: what is logged then is lost, and no PIPE kills anybody."""
    ours, theirs = os.pipe()
    words = (app, *ON_TCP, "--workers", str(count), "--loop", loop)
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "serve", *words, stdin=DEVNULL, stderr=theirs
    )
    os.close(theirs)
    with os.fdopen(ours) as log:
        line = await asyncio.to_thread(log.readline)
    try:
        for _ in range(3):  # each is a line in the log
            talker, _ = await serves(int(line.rpartition(":")[2]))
            assert await echoes(talker)
            talker.sock.close()
    finally:
        process.terminate()
        assert await process.wait() == -signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTTIN, signal.SIGTTOU], ids=lambda each: each.name)
async def test_one_process_has_nothing_to_scale(
    loop: str, number: signal.Signals, app: str
) -> None:
    """By their defaults both stop a process, which then answers nobody."""
    async with serving(app, *ON_TCP, loop=loop) as server:
        talker, _ = await serves(server.ports[0])
        server.signal(number)
        assert await echoes(talker)
        talker.sock.close()
        assert await server.stop() == -signal.SIGTERM
        assert not server.complaints("warning", "error")


@either
async def test_an_author_may_take_what_is_spare(loop: str, count: int, tmp_path: Path) -> None:
    path = tmp_path / "app.py"
    path.write_text(TAKES)
    words = (f"{path}:Takes", *ON_TCP, "--workers", count)
    async with serving(*words, loop=loop) as server:
        talker = await Talker.connect(server.ports[0])
        assert await talker.read() == b"here\n"
        for pid in workers(server) or {server.process.pid}:
            os.kill(pid, signal.SIGUSR1)
        assert await talker.read() == b"USR1\n"
        talker.sock.close()


@either
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda each: each.name)
async def test_an_end_while_a_service_starts(
    loop: str, count: int, number: signal.Signals, tmp_path: Path
) -> None:
    """A service may wait for its database for ever."""
    path = tmp_path / "app.py"
    path.write_text(STARTS)
    words = (f"{path}:Starts", *ON_TCP, "--workers", str(count), "--loop", loop)
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "serve", *words, stdin=DEVNULL, stderr=PIPE
    )
    server = ServerProcess(process)
    try:
        await server.logged("starting")
        server.signal(number)
        assert await server.ended() == -number
    finally:
        server.signal(signal.SIGKILL)
        await server.ended()
    assert server.said == ["starting"]


async def test_a_crew_that_was_stopped_for_long_goes_on(loop: str, app: str) -> None:
    """Ctrl-Z and fg: nobody could say a sign of life, so nobody is taken to hang."""
    words = (app, *ON_TCP, "--workers", 2, "--worker-timeout", 3)
    async with serving(*words, loop=loop, before=("setsid",)) as server:
        talker, _ = await serves(server.ports[0])
        before = workers(server)
        os.killpg(server.process.pid, signal.SIGSTOP)
        await asyncio.sleep(4)  # longer than the worker's time, waited for nothing
        os.killpg(server.process.pid, signal.SIGCONT)
        assert await echoes(talker)
        talker.sock.close()
        server.signal(signal.SIGTTIN)
        await server.logged(" 3 workers")
        assert before < workers(server)
        assert not server.complaints("error")  # that the loop was held up is said


async def test_a_worker_that_was_stopped_is_killed(loop: str, app: str) -> None:
    words = (app, *ON_TCP, "--workers", 2, "--worker-timeout", 3)
    async with serving(*words, loop=loop) as server:
        victim = min(workers(server))
        os.kill(victim, signal.SIGSTOP)
        (line,) = await server.logged("has hung for 3 s: killed")
        assert f"(pid {victim})" in line
        await replaced(server, {victim}, 2)
