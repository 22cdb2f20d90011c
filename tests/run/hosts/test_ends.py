"""Every way in which a job on a host is ended, and that nothing of it is left there."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from netkit.clients.run.hosts.spawner import Hosts
from netkit.subprocesses.command import Command, Stdio
from netkit.subprocesses.events import End, Ended, Event, Output, Started
from netkit.subprocesses.job import Bounds, Job
from tests.run.hosts.jobs import ran, using
from tests.run.hosts.sshd import Sshd
from tests.run.hosts.watching import ended, gone, members

Start = Callable[..., Sshd]
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 1; done"
GRANDCHILD = "sleep 1000 & sleep 1000 & echo ready; wait"


class Watched:
    """A job that is run by itself."""

    def __init__(self, spawner: Hosts, *words: str, **bounds: float) -> None:
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.job = Job(1, Command(words), self._take, bounds=Bounds(**bounds), lines=True)  # type: ignore[arg-type]  # seconds
        self.run: asyncio.Task[End] = asyncio.create_task(self.job.run(spawner))

    def _take(self, event: Event, job: Job) -> bool:
        self.events.put_nowait(event)
        return True

    async def ready(self) -> int:
        """Wait until it has said something; its group."""
        pid = 0
        while True:
            event = await self.events.get()
            if isinstance(event, Started):
                pid = event.pid
            elif isinstance(event, Output):
                assert event.data == b"ready\n"
                return pid


@pytest.mark.parametrize("script", [STUBBORN, GRANDCHILD, "echo ready; exec sleep 1000"])
async def test_a_timeout_ends_the_group(script: str, host: Start) -> None:
    async with using(host()) as spawner:
        one = Watched(spawner, "sh", "-c", script, timeout=0.5, grace=0.2)
        group = await one.ready()
        end = await one.run
        await gone(group)
    stubborn = script is STUBBORN
    assert (end.reason, end.signal) == (
        "timeout", signal.SIGKILL if stubborn else signal.SIGTERM,
    )  # fmt: skip


async def test_cancelling_ends_the_group(host: Start) -> None:
    async with using(host()) as spawner:
        one = Watched(spawner, "sh", "-c", STUBBORN, grace=0.1)
        group = await one.ready()
        one.run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await one.run
        await gone(group)


async def test_cancelling_at_any_moment_of_the_start(host: Start) -> None:
    sshd = host()
    async with using(sshd) as spawner:
        for turns in range(60):
            one = Watched(spawner, "sh", "-c", f"echo ready; sleep 1000 # {sshd.port}", grace=0.1)
            for _ in range(turns):
                await asyncio.sleep(0)  # so many turns later
            one.run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await one.run
        groups = [one async for one in _leaders(str(sshd.port))]
        for group in groups:
            await gone(group)
        ends, _ = await ran(spawner, [("true",)])
    assert ends[1].status == 0


async def _leaders(mark: str) -> AsyncIterator[int]:
    for entry in os.listdir("/proc"):  # noqa: PTH208
        if entry.isdigit() and any(f"# {mark}" in words for words in members(int(entry)).values()):
            yield int(entry)


async def test_signals_reach_the_whole_group(host: Start) -> None:
    script = "trap 'echo ready; exit 3' USR1; echo ready; while :; do sleep 1000 & wait; done"
    async with using(host()) as spawner:
        one = Watched(spawner, "sh", "-c", script)
        group = await one.ready()
        one.job.signal(signal.SIGUSR1)
        await one.ready()
        assert (await one.run).status == 3
        await gone(group)


@asynccontextmanager
async def _stubborn(sshd: Sshd, grace: float) -> AsyncIterator[Watched]:
    async with using(sshd, grace=grace) as spawner:
        one = Watched(spawner, "sh", "-c", STUBBORN)
        yield one
        end = await one.run
    assert (end.reason, end.code) == ("lost", 127)
    assert end.error == f"sh: the connection to {sshd.name} was lost"


async def test_a_lost_connection_ends_the_group(host: Start) -> None:
    sshd = host()
    async with _stubborn(sshd, 0.5) as one:
        group = await one.ready()
        sshd.cut()
        await gone(group)


async def test_leaving_ends_what_runs(host: Start) -> None:
    async with using(host()) as spawner:
        one = Watched(spawner, "sh", "-c", GRANDCHILD)
        group = await one.ready()
    assert (await one.run).signal == signal.SIGKILL
    await gone(group)


async def test_what_a_job_leaves_in_its_group_is_killed(host: Start) -> None:
    async with using(host()) as spawner:
        one = Watched(spawner, "sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo ready")
        group = await one.ready()
        assert (await one.run).status == 0
        await gone(group)


async def test_a_daemon_that_holds_the_output_does_not_hold_the_job(
    host: Start, tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    script = (
        f"mkfifo {fifo}; setsid sh -c 'echo $$; : > {fifo}; exec sleep 1000' & : < {fifo}; exit 4"
    )
    async with using(host()) as spawner:
        ends, written = await ran(spawner, [("sh", "-c", script)])
        pid = int(written[1, "stdout"])
        assert ends[1].status == 4
        os.kill(pid, signal.SIGKILL)
        await ended(pid)


async def test_a_job_that_kills_its_own_group(host: Start) -> None:
    async with using(host()) as spawner:
        ends, _ = await ran(spawner, [("sh", "-c", f"kill -{name} 0") for name in ("KILL", "INT")])
    assert [ends[job].signal for job in (1, 2)] == [signal.SIGKILL, signal.SIGINT]


async def test_a_job_that_stops_its_whole_group(host: Start) -> None:
    async with using(host()) as spawner:
        one = Watched(spawner, "sh", "-c", "echo ready; kill -STOP 0", timeout=0.5, grace=0.1)
        group = await one.ready()
        end = await one.run
        await gone(group)
    assert (end.reason, end.signal) == ("timeout", signal.SIGKILL)


async def test_a_job_has_no_child_that_it_did_not_start(host: Start) -> None:
    words = ("python3", "-c", "import os; os.wait()")
    async with using(host()) as spawner:
        ends, written = await ran(spawner, [words])
    assert ends[1].status == 1
    assert b"ChildProcessError" in written[1, "stderr"]


async def test_a_slow_reader_gets_everything(host: Start) -> None:
    words = ("head", "-c", "100000000", "/dev/zero")
    total = pauses = 0
    async with using(host()) as spawner:
        command = Command(words, stderr=Stdio.NULL)
        held: list[Job] = []

        def sink(event: Event, job: Job) -> bool:
            nonlocal total, pauses
            if isinstance(event, Output):
                total += len(event.data)
                pauses += 1
                held.append(job)
                asyncio.get_running_loop().call_soon(lambda: held.pop().resume())
                return False
            return not isinstance(event, Ended)

        end = await Job(1, command, sink, bounds=Bounds(), lines=False).run(spawner)
    assert (end.status, total) == (0, 100_000_000)
    assert pauses > 50
