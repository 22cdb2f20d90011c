"""Many commands, so many at a time, as one stream of events."""

from __future__ import annotations

import asyncio
import errno
import random
import time
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from itertools import count
from types import TracebackType
from typing import Any, Self, TypeAlias

from netkit.subprocesses.children import Spawner
from netkit.subprocesses.command import Command, NotStartedError
from netkit.subprocesses.events import End, Ended, Event, Retrying
from netkit.subprocesses.helpers import Helpers
from netkit.subprocesses.job import Bounds, Job
from netkit.subprocesses.merging import Merged
from netkit.subprocesses.retries import NONE, Retries

What: TypeAlias = Command | Sequence[str]

SCARCE = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM})
"""Why a start is tried again when another job has ended."""


class Runner:
    """Runs commands, at most `limit` at a time; an async context manager.

    ::

        async with netkit.Runner(limit=8) as runner:
            async for event in runner.map(["gzip", "-9", name] for name in names):
                print(event)

    Leaving it ends what still runs, by TERM and KILL, and waits for that. `timeout`, `grace`,
    `linger` and `stay` are those of `Bounds`; with `lines` output comes in whole lines,
    else as it was read. `spawner` stays the caller's.
    """

    def __init__(
        self,
        limit: int = 8,
        *,
        timeout: float | None = None,
        grace: float = 5.0,
        linger: float = 0.5,
        stay: bool = False,
        retries: Retries = NONE,
        lines: bool = True,
        spawner: Spawner | None = None,
    ) -> None:
        self._bounds, self._retries, self._lines = (
            Bounds(timeout, grace, linger, stay),
            retries,
            lines,
        )
        self._own = None if spawner else Helpers()
        self._spawner: Spawner = spawner or self._own  # type: ignore[assignment]  # one of them is
        self._slots = asyncio.Semaphore(limit)
        self._numbers = count(1)
        self._tasks: set[asyncio.Task[End]] = set()
        self._ended = asyncio.Event()
        self._running = 0
        self._dice = random.Random()  # noqa: S311  # jitter

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await _cancelled(self._tasks)
        if self._own:
            await self._own.close()

    async def map(self, commands: Iterable[What] | AsyncIterable[What]) -> AsyncGenerator[Event]:
        """Run each of them; their events, as they come.

        Commands are taken when there is room for one, so there may be no end of them. Output
        is read as fast as events are taken. Closing the generator ends what it has started.
        """
        merged = Merged()
        jobs: set[asyncio.Task[End]] = set()
        feeding = asyncio.create_task(self._feed(commands, merged, jobs))
        try:
            while event := await merged.take():
                yield event
            await feeding  # what the iterable raised
        finally:
            feeding.cancel()
            await _cancelled({feeding, *jobs})

    async def _feed(
        self,
        commands: Iterable[What] | AsyncIterable[What],
        merged: Merged,
        jobs: set[asyncio.Task[End]],
    ) -> None:
        source = aiter(commands if isinstance(commands, AsyncIterable) else _async(commands))
        try:
            while True:
                await self._slots.acquire()  # before the command: it is taken when it can start
                try:
                    command = await anext(source)
                except BaseException as error:  # a cancellation too
                    self._slots.release()
                    if isinstance(error, StopAsyncIteration):
                        break
                    raise
                self._begin(command, merged, jobs)
            while jobs:
                await asyncio.wait(jobs)
        finally:
            merged.finish()

    def _begin(self, what: What, merged: Merged, jobs: set[asyncio.Task[End]]) -> None:
        task = asyncio.create_task(self._run(next(self._numbers), Command.of(what), merged))
        for tasks in (jobs, self._tasks):
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        def told(task: asyncio.Task[End]) -> None:
            if not task.cancelled() and (error := task.exception()):
                merged.fail(error)

        task.add_done_callback(told)

    async def _run(self, number: int, command: Command, merged: Merged) -> End:
        """All attempts of one job, with a slot that was taken for it."""
        holds = True
        try:
            for attempt in count(1):
                end = await self._attempt(number, command, merged)
                if not self._retries.wanted(end, attempt):
                    break
                delay = self._retries.delay(attempt, self._dice)
                merged.put(Retrying(number, time.time(), attempt + 1, delay, end))
                self._slots.release()
                holds = False
                await asyncio.sleep(delay)  # the back-off; others may use the slot
                await self._slots.acquire()
                holds = True
            merged.put(Ended(number, time.time(), command, end))
            return end
        finally:
            if holds:
                self._slots.release()

    async def _attempt(self, number: int, command: Command, merged: Merged) -> End:
        while True:
            job = Job(number, command, merged.put, bounds=self._bounds, lines=self._lines)
            self._running += 1
            try:
                end = await job.run(self._spawner)
            except NotStartedError as error:
                # What there is none of may be there when another has ended; if there is another.
                if error.errno in SCARCE and self._running > 1:
                    end = None
                else:
                    end = End(None, None, 0.0, reason="not started", error=str(error))
            finally:
                self._running -= 1
            if end:
                ended, self._ended = self._ended, asyncio.Event()
                ended.set()
                return end
            await self._ended.wait()


async def _async(commands: Iterable[What]) -> AsyncGenerator[What, None]:
    for command in commands:
        yield command


async def _cancelled(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancel them, and wait for all, even if we are cancelled meanwhile: then cancel again."""
    waits = {task for task in tasks if task is not asyncio.current_task()}
    cancelled = None
    for task in waits:
        task.cancel()
    while left := {task for task in waits if not task.done()}:
        try:
            await asyncio.wait(left)
        except asyncio.CancelledError as error:
            cancelled = error
            for task in left:
                task.cancel()
    if cancelled:
        raise cancelled
