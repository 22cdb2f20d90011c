"""One run of ``netkit run``: jobs started, shown and counted until it is over.

1. Rows are taken ahead in a thread; each becomes a command when there is a slot for it.
2. The first signal that ends: no more jobs are started, those that run end by themselves.
   So it is with ``--halt soon``, and when arguments cannot be read.
3. The second: those that run are ended, by TERM and KILL; the third: by KILL at once.
   So it is with ``--halt now``, and when output cannot be written.
4. What has ended is shown and recorded, then we end.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import AsyncExitStack, aclosing, closing
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from netkit.clients.run.commands import Commands
from netkit.clients.run.halt import Tally
from netkit.clients.run.hosts import hosts
from netkit.clients.run.joblog import Joblog
from netkit.clients.run.output.outputs import Outputs
from netkit.clients.run.planning import Plan, plan
from netkit.clients.run.settings import Wishes
from netkit.errors import NetkitError
from netkit.signals import heeded
from netkit.stdio import Lane
from netkit.subprocesses.children import Spawner
from netkit.subprocesses.events import Ended
from netkit.subprocesses.runner import Runner

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went."""

    status: int
    signal: signal.Signals | None
    """By which the process is to die."""


async def run(wishes: Wishes, stdout: int | None, stderr: int | None) -> Outcome:
    """Run all jobs, in the loop of the main thread, whose signals are taken.

    `stdout` and `stderr` are descriptors that stay open; None: closed. Raises `NetkitError`
    for what is no job's failure, and `OutputClosedError` when nobody reads our output any
    more; nothing runs any more by then.
    """
    session = Session(wishes, stdout, stderr)
    running = asyncio.create_task(session.run())
    with heeded(lambda: _cancel(running), _nothing) as told:
        either: set[asyncio.Future[Any]] = {told, running}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if told.done():
            session.halt(told.result())
        await asyncio.wait({running})
    if not running.cancelled():
        running.result()
    return Outcome(session.status, told.result() if told.done() else None)


class Session:
    """One run; `run` may be called once."""

    def __init__(self, wishes: Wishes, stdout: int | None, stderr: int | None) -> None:
        self._wishes, self._fds = wishes, (stdout, stderr)
        self._halted = asyncio.Event()
        self._tally = Tally()
        self._outputs: Outputs
        self._commands: Commands | None = None

    @property
    def status(self) -> int:
        """The exit status of the whole, so far."""
        return self._tally.status

    def halt(self, number: signal.Signals) -> None:
        """Start no more jobs, since this signal came."""
        self._halted.set()
        if commands := self._commands:
            commands.halt()
            if commands.running:
                self._say(
                    f"{number.name}: no more jobs are started; "
                    f"those that run ({commands.running}) are ended by a second one"
                )

    async def run(self) -> None:
        """Run until it is over. Cancelled, it ends those that run."""
        wishes = self._wishes
        async with AsyncExitStack() as stack:
            joblog = await self._opened_log(stack)
            planned = await self._planned()
            if planned is None:
                return
            self._tally = Tally(wishes.halt, planned.total or 0)
            self._outputs = Outputs(wishes.form, *self._fds, joblog=joblog, total=planned.total)
            await stack.enter_async_context(self._outputs)
            self._commands = Commands(wishes, planned, self._outputs, joblog)
            stack.callback(self._commands.halt)
            over = [self._outputs.broken]
            spawner = None
            if wishes.machines:
                spawner = hosts(wishes.machines, self._say)
                stack.push_async_callback(spawner.close)
                over.append(spawner.gone)
            jobs = self._run_all(self._commands, spawner)
            try:
                await _either(jobs, *(until() for until in over))
            except NetkitError:
                await self._outputs.finish()  # what came before it, unless that is what failed
                raise
            await self._outputs.finish()
            if self._commands.failure:
                raise self._commands.failure

    async def _run_all(self, commands: Commands, spawner: Spawner | None) -> None:
        jobs = self._wishes.jobs
        runner = Runner(
            self._wishes.pace.limit,
            timeout=jobs.timeout,
            grace=jobs.grace,
            retries=jobs.retries,
            spawner=spawner,
        )
        async with runner, aclosing(runner.map(commands)) as events:
            async for event in events:
                await self._outputs.event(event, commands.host(event.job))
                if isinstance(event, Ended) and self._ended(event, commands):
                    break

    def _ended(self, event: Ended, commands: Commands) -> bool:
        """Count a job's end; whether those that run are to be ended now."""
        work, end = commands.ended(event.job), event.end
        if end.reason != "exit" and self._wishes.form.mode != "json":
            self._say(f"job {work.number}: {end.error or f'{end}: {work.line}'}")
        when = self._tally.count(end)
        if when and not self._halted.is_set():
            self._halted.set()
            commands.halt()
            self._say(f"--halt: job {work.number}: {end}: {work.line}")
        return when == "now"

    async def _opened_log(self, stack: AsyncExitStack) -> Joblog | None:
        asked = self._wishes.joblog
        if asked is None:
            return None
        joblog = await _called(partial(Joblog.open, asked.path, asked.resume))
        return stack.enter_context(closing(joblog))

    async def _planned(self) -> Plan | None:
        """The plan; None if we are halted before it is read."""
        wishes = self._wishes
        counted = wishes.halt is not None and wishes.halt.percent
        opening = partial(plan, wishes.jobs, wishes.asked, wishes.machines, counted=counted)
        return await _either(_called(opening), self._halted.wait())

    def _say(self, line: str) -> None:
        self._outputs.say(f"netkit: {line}")


async def _called(function: partial[T]) -> T:
    """Call what may block in a thread of its own."""
    lane = Lane("opening")
    try:
        return await lane.call(function)
    finally:
        lane.close()


async def _either(first: Coroutine[Any, Any, T], *others: Coroutine[Any, Any, Any]) -> T | None:
    """What `first` gives, unless one of the others is over before; the rest is cancelled."""
    task = asyncio.create_task(first)
    tasks = [task, *map(asyncio.create_task, others)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for each in done:
            each.result()
        return task.result() if task in done else None
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


def _nothing() -> None:
    """HUP means nothing here, while there is a terminal."""
