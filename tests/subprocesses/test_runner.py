"""Many commands as one stream of events."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from netkit.subprocesses.children import Spawner
from netkit.subprocesses.command import Command
from netkit.subprocesses.events import Ended, Event, Output, Retrying, Started
from netkit.subprocesses.merging import Merged
from netkit.subprocesses.plain import Plain, PlainChild
from netkit.subprocesses.retries import Retries
from netkit.subprocesses.runner import Runner
from tests.subprocesses.jobs import gone, sh


async def events_of(runner: Runner, commands: list[Command]) -> list[Event]:
    return [event async for event in runner.map(commands)]


async def test_each_is_told_from_its_start_to_its_end(spawner: Spawner) -> None:
    async with Runner(3, spawner=spawner) as runner:
        told = await events_of(runner, [sh(f"echo {number}; exit {number}") for number in range(9)])
    for number in range(9):
        mine = [event for event in told if event.job == number + 1]
        assert [type(event) for event in mine] == [Started, Output, Ended]
        assert mine[1].data == f"{number}\n".encode()  # type: ignore[union-attr]  # as just said
        assert mine[2].end.code == number  # type: ignore[union-attr]  # as just said


async def test_no_more_than_the_limit_at_a_time(spawner: Spawner) -> None:
    running = most = 0
    async with Runner(3, spawner=spawner) as runner:
        async for event in runner.map(["sleep", "0.05"] for _ in range(12)):
            running += (type(event) is Started) - (type(event) is Ended)
            most = max(most, running)
    assert most == 3


async def test_commands_are_taken_when_they_can_start(spawner: Spawner) -> None:
    taken = ended = 0

    async def endless() -> AsyncIterator[list[str]]:
        nonlocal taken
        while True:
            taken += 1
            yield ["true"]

    commands = endless()
    async with Runner(2, spawner=spawner) as runner:
        events = runner.map(commands)
        async for event in events:
            ended += type(event) is Ended
            assert taken <= ended + 3
            if ended == 10:
                break
        await events.aclose()


async def test_what_cannot_be_started_ends_nothing_else(spawner: Spawner) -> None:
    async with Runner(2, spawner=spawner) as runner:
        told = await events_of(runner, [sh("exit 1"), Command(("/no/such",)), sh("exit 2")])
    ends = {event.job: event.end for event in told if type(event) is Ended}
    assert [ends[number].code for number in (1, 2, 3)] == [1, 127, 2]
    assert (ends[2].reason, ends[2].error) == (
        "not started", "/no/such: No such file or directory",
    )  # fmt: skip


async def test_retries(spawner: Spawner, tmp_path: Path) -> None:
    counter = f"echo x >> {tmp_path}/count; test $(wc -l < {tmp_path}/count) -ge 3"
    policy = Retries(5, first=0.01)
    async with Runner(1, spawner=spawner, retries=policy) as runner:
        told = await events_of(runner, [sh(counter)])
    assert Counter(map(type, told)) == {Started: 3, Retrying: 2, Ended: 1}
    assert told[-1].end.code == 0  # type: ignore[union-attr]  # the last one is Ended


async def test_others_run_while_one_waits_to_be_retried(spawner: Spawner) -> None:
    policy = Retries(1, first=0.2, on=frozenset({9}))
    async with Runner(1, spawner=spawner, retries=policy) as runner:
        told = await events_of(runner, [sh("exit 9"), sh("exit 0")])
    assert [event.job for event in told if type(event) is Ended] == [2, 1]


async def test_output_is_read_as_fast_as_it_is_taken(spawner: Spawner) -> None:
    held = most = 0

    class Watched(Merged):
        def put(self, event: Event, job: object = None) -> bool:
            nonlocal held, most
            held += len(event.data) if type(event) is Output else 0
            most = max(most, held)
            return super().put(event, job)  # type: ignore[arg-type]  # a job

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("netkit.subprocesses.runner.Merged", Watched)
        size = 0
        async with Runner(4, spawner=spawner, lines=False) as runner:
            async for event in runner.map([sh("head -c 20000000 /dev/zero")] * 4):
                if type(event) is Output:
                    held -= len(event.data)
                    size += len(event.data)
                    await asyncio.sleep(0)  # turns, in which more is read
    assert size == 80_000_000
    assert most <= 8 * 1024 * 1024 + 4 * 1024 * 1024


async def test_leaving_ends_what_runs(spawner: Spawner) -> None:
    pids = []
    async with Runner(4, spawner=spawner) as runner:
        async for event in runner.map([sh("sleep 60 & sleep 60")] * 4):
            assert type(event) is Started
            pids.append(event.pid)
            if len(pids) == 4:
                break
    for pid in pids:
        assert await gone(pid)


async def test_an_iterable_that_fails_is_told(spawner: Spawner) -> None:
    def broken() -> object:
        yield ["true"]
        raise ValueError("no more")

    async with Runner(2, spawner=spawner) as runner:
        with pytest.raises(ValueError, match="no more"):
            async for _ in runner.map(broken()):  # type: ignore[arg-type]  # as object
                pass


async def test_a_fault_of_a_spawner_is_no_silence() -> None:
    class Faulty(Plain):
        async def spawn(self, command: Command, stdio: tuple[int, int, int]) -> PlainChild:
            if command.words == ("fault",):
                raise ZeroDivisionError
            return await super().spawn(command, stdio)

    spawner = Faulty()
    async with Runner(2, spawner=spawner) as runner:
        with pytest.raises(ZeroDivisionError):
            await events_of(runner, [sh("sleep 60"), Command(("fault",))])
    await spawner.close()


async def test_cancelled_at_any_moment_nothing_is_left(spawner: Spawner) -> None:
    # After each number of turns of the loop once: before, in and after the start, and at the end.
    dice = random.Random(7)
    for turns in range(60):
        pids: list[int] = []

        async def run(pids: list[int] = pids) -> None:
            async with Runner(2, spawner=spawner, grace=5) as runner:
                async for event in runner.map([sh("echo; sleep 60")] * 2):
                    if type(event) is Started:
                        pids.append(event.pid)

        task = asyncio.create_task(run())
        for _ in range(turns):
            await asyncio.sleep(0)
        if dice.random() < 0.3:
            await asyncio.sleep(dice.random() / 50)  # or in the midst of what the kernel does
        task.cancel()
        if dice.random() < 0.3:
            await asyncio.sleep(0)
            task.cancel()  # and again, while it ends
        with pytest.raises(asyncio.CancelledError):
            await task
        for pid in pids:
            assert await gone(pid)


async def test_the_example() -> None:
    async with Runner(limit=2) as runner:
        told = [event async for event in runner.map(["echo", name] for name in ("a", "b"))]
    assert sorted(event.data for event in told if type(event) is Output) == [b"a\n", b"b\n"]
