"""Several workers under a supervisor, with real processes and signals."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.runtime.process import LOOPS, serving
from tests.workers.crew import (
    ON_TCP,
    WHO,
    alive,
    echoes,
    one_of_each,
    replaced,
    serves,
    workers,
)

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),
    pytest.mark.parametrize("loop", LOOPS),
]


@pytest.fixture
def app(tmp_path: Path) -> str:
    path = tmp_path / "app.py"
    path.write_text(WHO)
    return f"{path}:handle"


async def test_connections_are_spread_and_an_end_is_in_order(loop: str, app: str) -> None:
    async with serving(app, *ON_TCP, "--workers", 2, loop=loop) as server:
        found = await one_of_each(server.ports[0], 2)
        assert set(found) == workers(server)
        assert all([await echoes(talker) for talker in found.values()])
        server.signal()
        for talker in found.values():
            assert await talker.read() == b""
            talker.sock.close()
        assert await server.ended() == -signal.SIGTERM
        assert not any(alive(pid) for pid in found)
        assert not server.complaints("warning", "error")


async def test_a_killed_worker_is_replaced_and_breaks_no_other(loop: str, app: str) -> None:
    async with serving(app, *ON_TCP, "--workers", 2, loop=loop) as server:
        found = await one_of_each(server.ports[0], 2)
        (victim, lost), (_, kept) = found.items()
        os.kill(victim, signal.SIGKILL)
        with suppress(ConnectionResetError):
            assert await lost.read() == b""
        lost.sock.close()
        new = (await replaced(server, {victim}, 2)) - set(found)
        while True:
            talker, pid = await serves(server.ports[0])
            talker.sock.close()
            if pid in new:
                break
        assert await echoes(kept)
        kept.sock.close()
        (line,) = await server.logged("died")
        assert f"(pid {victim}) died: SIGKILL; starting another" in line


async def test_newcomers_of_a_dead_worker_wait_for_the_next(loop: str, app: str) -> None:
    async with serving(app, *ON_TCP, "--workers", 2, loop=loop) as server:
        for pid in workers(server):
            os.kill(pid, signal.SIGKILL)
        talkers = await asyncio.gather(*(serves(server.ports[0]) for _ in range(50)))
        assert len({pid for _, pid in talkers}) == 2
        for talker, _ in talkers:
            assert await echoes(talker)
            talker.sock.close()


async def test_a_reload_loses_nobody(loop: str, app: str) -> None:
    # Longer than the reloads take, since the connection that is held outlives them all.
    options = ("--workers", 2, "--timeout-graceful-shutdown", 60)
    async with serving(app, *ON_TCP, *options, loop=loop) as server:
        port, over = server.ports[0], asyncio.Event()
        before = workers(server)
        served = 0

        async def come_and_go() -> None:
            nonlocal served
            while not over.is_set():
                talker, _ = await serves(port)
                assert await echoes(talker)
                talker.sock.close()
                served += 1

        held, pid = await serves(port)
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(come_and_go())
            for count in (1, 2, 3):
                server.signal(signal.SIGHUP)
                await server.logged("reloaded 2 workers", count)
            over.set()
        assert served > 50
        assert pid in workers(server)
        # What was open is kept, by a worker that accepts no more.
        assert await echoes(held)
        held.sock.close()
        now = await replaced(server, before, 2)
        assert not now & before
        assert not server.complaints("warning", "error")


async def test_a_retired_worker_ends_its_connections_with_the_grace_period(
    loop: str, app: str
) -> None:
    words = (app, *ON_TCP, "--workers", 2, "--timeout-graceful-shutdown", 1)
    async with serving(*words, loop=loop) as server:
        held, _ = await serves(server.ports[0])
        server.signal(signal.SIGHUP)
        assert await held.read() == b""
        held.sock.close()


async def test_an_end_does_not_wait_for_a_retired_worker(loop: str, app: str) -> None:
    words = (app, *ON_TCP, "--workers", 2, "--timeout-graceful-shutdown", 1000)
    async with serving(*words, loop=loop) as server:
        held, _ = await serves(server.ports[0])
        server.signal(signal.SIGHUP)
        await server.logged("reloaded 2 workers")
        server.signal()
        assert await held.read() == b""
        held.sock.close()
        assert await server.ended() == -signal.SIGTERM


async def test_a_broken_reload_leaves_the_old_ones_serving(
    loop: str, app: str, tmp_path: Path
) -> None:
    async with serving(app, *ON_TCP, "--workers", 2, loop=loop) as server:
        before = workers(server)
        (tmp_path / "broken").touch()
        server.signal(signal.SIGHUP)
        await server.logged("reload given up")
        assert len(await server.logged("broken on purpose")) == 1
        assert workers(server) == before
        talker, _ = await serves(server.ports[0])
        assert await echoes(talker)
        talker.sock.close()
        (tmp_path / "broken").unlink()
        server.signal(signal.SIGHUP)
        await server.logged("reloaded 2 workers")


async def test_workers_are_added_and_taken_away(loop: str, app: str) -> None:
    async with serving(app, *ON_TCP, "--workers", 2, loop=loop) as server:
        server.signal(signal.SIGTTIN)
        await server.logged(" 3 workers")
        for talker in (await one_of_each(server.ports[0], 3)).values():
            talker.sock.close()
        for line in (" 2 workers", " 1 worker"):
            server.signal(signal.SIGTTOU)
            await server.logged(line)
        server.signal(signal.SIGTTOU)  # one stays
        while len(workers(server)) > 1:
            await asyncio.sleep(0.01)  # other processes have no event for us
        # The one that stays serves the sockets of all three.
        talkers = await asyncio.gather(*(serves(server.ports[0]) for _ in range(50)))
        assert {pid for _, pid in talkers} == workers(server)
        for talker, _ in talkers:
            talker.sock.close()


async def test_a_worker_that_hangs_is_killed(loop: str, app: str) -> None:
    words = (app, *ON_TCP, "--workers", 2, "--worker-timeout", 3)
    async with serving(*words, loop=loop) as server:
        talker, pid = await serves(server.ports[0])
        await talker.write(b"block\n")
        (line,) = await server.logged("has hung for 3 s in handle() in app.py:")
        assert f"(pid {pid})" in line
        assert line.endswith(": killed")
        with suppress(ConnectionResetError):
            assert await talker.read() == b""
        talker.sock.close()
        await replaced(server, {pid}, 2)


async def test_a_worn_worker_is_replaced(loop: str, app: str) -> None:
    words = (app, *ON_TCP, "--workers", 2, "--worker-max-connections", 20)
    async with serving(*words, loop=loop) as server:
        before = workers(server)
        while workers(server) & before:
            talker, _ = await serves(server.ports[0])
            assert await echoes(talker)
            talker.sock.close()
        assert not server.complaints("warning", "error")


async def test_workers_end_with_their_supervisor(loop: str, app: str) -> None:
    async with serving(app, *ON_TCP, "--workers", 2, loop=loop) as server:
        pids = workers(server)
        server.signal(signal.SIGKILL)
        await server.process.wait()
        while any(alive(pid) for pid in pids):
            await asyncio.sleep(0.01)  # other processes have no event for us


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda each: each.name)
async def test_a_signal_to_the_whole_group_counts_once(
    loop: str, app: str, number: signal.Signals
) -> None:
    """Ctrl-C at a terminal reaches all of a process group, systemd's TERM all processes."""
    words = (app, *ON_TCP, "--workers", 2)
    async with serving(*words, loop=loop, before=("setsid",)) as server:
        talker, _ = await serves(server.ports[0])
        os.killpg(server.process.pid, number)
        await talker.write(b"last words\n")
        assert await talker.read() == b"last words\n"
        assert await talker.read() == b""
        talker.sock.close()
        assert await server.ended() == -number
        assert not server.complaints("warning", "error")
