"""Limits that hold for all workers together, against real processes."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.runtime.process import LOOPS, ServerProcess, serving
from tests.runtime.talkers import Talker
from tests.workers.crew import ON_TCP, WHO, echoes, kill, replaced, workers

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),
    pytest.mark.parametrize("loop", LOOPS),
]

ONE, OTHER = "127.0.5.1", "127.0.6.1"

HOLDING = """
held = []


async def handle(reader, writer):
    "Hold so many MiB and say so; `0` lets all of it go."
    writer.write(b"hello\\n")
    while line := await reader.readline():
        if count := int(line):
            held.append(b"x" * (count << 20))
        else:
            held.clear()
        writer.write(line)
        await writer.drain()
"""


class Guests:
    """Clients from addresses of their own, kept until the block ends."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.pids: dict[Talker, int] = {}
        """Those who got in, and which process serves them."""
        self.refused = 0
        self._socks: list[socket.socket] = []

    async def arrive(self, source: str) -> Talker:
        """Connect; whether it is let in is not known yet."""
        sock = socket.socket()
        self._socks.append(sock)
        sock.setblocking(False)
        sock.bind((source, 0))
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self._port))
        return Talker(sock)

    async def come(self, source: str, times: int = 1) -> int:
        """Connect so many times, one after the other; how many of them got in."""
        before = len(self.pids)
        for _ in range(times):
            talker = await self.arrive(source)
            said = await talker.read()
            if said:
                self.pids[talker] = int(said)
            else:
                self.refused += 1
        return len(self.pids) - before

    def close(self) -> None:
        """End all."""
        for sock in self._socks:
            sock.close()


@asynccontextmanager
async def served(
    app: Path, loop: str, *options: object
) -> AsyncIterator[tuple[ServerProcess, Guests]]:
    """Two workers, and those who come to them."""
    words = (f"{app}:handle", *ON_TCP, "--workers", 2, "--limit-loopback", *options)
    async with serving(*words, loop=loop) as server:
        guests = Guests(server.ports[0])
        try:
            yield server, guests
        finally:
            guests.close()
        assert await server.stop() == -signal.SIGTERM
        assert not server.complaints()


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app.py"
    path.write_text(WHO)
    return path


async def test_an_address_has_its_share_in_all_workers_together(loop: str, app: Path) -> None:
    async with served(app, loop, "--limit-per-address", 5) as (server, guests):
        assert await guests.come(ONE, 20) == 5
        assert await guests.come(OTHER, 20) == 5
        refusal = "refused: too many from its address (--limit-per-address)"
        assert len(await server.logged(refusal, 30)) == 30
        leaving = list(guests.pids)[:2]  # of ONE
        for each in leaving:
            each.sock.close()
        await server.logged("closed by peer", 2)
        assert await guests.come(OTHER, 3) == 0
        assert await guests.come(ONE, 10) == 2


async def test_no_more_get_in_however_they_hurry(loop: str, app: Path) -> None:
    async with served(app, loop, "--limit-per-address", 5) as (_, guests):
        arrived = [await guests.arrive(ONE) for _ in range(60)]
        said = await asyncio.gather(*(each.read() for each in arrived))
        early = sum(map(bool, said))
        assert 1 <= early <= 5
        assert await guests.come(ONE, 10) == 5 - early


async def test_a_network_has_its_share_whatever_its_addresses(loop: str, app: Path) -> None:
    options = ("--limit-per-prefix", 6, "--limit-per-address", 4)
    async with served(app, loop, *options) as (server, guests):
        assert await guests.come("127.0.5.1", 10) == 4
        assert await guests.come("127.0.5.2", 10) == 2
        assert await guests.come("127.0.5.200", 10) == 0
        assert await guests.come("127.0.6.1", 10) == 4
        await server.logged("refused: too many from its network (--limit-per-prefix)", 18)
        await server.logged("refused: too many from its address (--limit-per-address)", 12)
        assert guests.refused == 30


async def test_what_a_killed_worker_had_is_free_again(loop: str, app: Path) -> None:
    async with served(app, loop, "--limit-per-address", 5) as (server, guests):
        assert await guests.come(ONE, 12) == 5
        ((victim, lost),) = Counter(guests.pids.values()).most_common(1)
        kill(victim, signal.SIGKILL)
        await replaced(server, {victim}, 2)
        assert await guests.come(ONE, 12) == lost
        for talker, pid in guests.pids.items():
            if pid != victim:
                assert await echoes(talker)


async def test_those_of_workers_on_their_way_out_count(loop: str, app: Path) -> None:
    async with served(app, loop, "--limit-per-address", 5) as (server, guests):
        assert await guests.come(ONE, 6) == 5
        first = workers(server)
        server.signal(signal.SIGHUP)
        await server.logged("reloaded 2 workers")
        assert await guests.come(ONE, 6) == 0
        assert await guests.come(OTHER, 6) == 5
        assert not {guests.pids[talker] for talker in list(guests.pids)[5:]} & first
        for talker in guests.pids:
            assert await echoes(talker)


async def test_each_worker_has_its_share_of_the_rate(loop: str, app: Path) -> None:
    """At one newcomer in an hour each lets one in at its start; nobody is refused."""
    async with served(app, loop, "--limit-rate", 2 / 3600) as (server, guests):
        arrived = [await guests.arrive(ONE) for _ in range(40)]
        reading = {asyncio.create_task(each.read()): each for each in arrived}
        served_now: dict[Talker, int] = {}
        while len(served_now) < 2:
            done, _ = await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
            served_now |= {reading.pop(task): int(task.result()) for task in done}
        assert set(served_now.values()) == workers(server)
        for _ in range(50):
            for talker in served_now:
                assert await echoes(talker)
        assert not any(task.done() for task in reading)
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)


async def test_beyond_the_rate_all_get_their_turn(loop: str, app: Path) -> None:
    async with served(app, loop, "--limit-rate", 100) as (_, guests):
        arrived = [await guests.arrive(ONE) for _ in range(160)]
        said = await asyncio.gather(*(each.read() for each in arrived))
        assert all(said)


async def test_newcomers_wait_while_any_worker_holds_too_much(loop: str, tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text(HOLDING)
    async with served(app, loop, "--limit-memory", 500) as (server, guests):
        greedy = await guests.arrive(ONE)
        assert await greedy.read() == b"hello\n"
        assert await echoes(greedy, b"600\n")
        await server.logged("newcomers wait: ", 2)  # both workers do
        arrived = [await guests.arrive(ONE) for _ in range(10)]
        reading = [asyncio.create_task(each.read()) for each in arrived]
        assert await echoes(greedy, b"1\n")
        assert not any(task.done() for task in reading)
        assert await echoes(greedy, b"0\n")
        await server.logged("newcomers are let in again: ", 2)
        assert await asyncio.gather(*reading) == [b"hello\n"] * 10
