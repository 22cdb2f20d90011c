"""One command among others: started, and started again, until it is over."""

from __future__ import annotations

import asyncio
import random
import signal
from contextlib import suppress
from itertools import count
from typing import NamedTuple

from netkit.clients.run.together.prefixes import prefixed
from netkit.clients.run.together.printer import Printer
from netkit.clients.run.together.readiness import says
from netkit.clients.run.together.settings import Done, Entry, Settings
from netkit.subprocesses.children import Spawner
from netkit.subprocesses.command import Command, NotStartedError, Surroundings
from netkit.subprocesses.events import End, Event, Output, Started
from netkit.subprocesses.job import Bounds, Job
from netkit.subprocesses.retries import Retries


class Prefixes(NamedTuple):
    """Before each line of one command."""

    stdout: bytes
    stderr: bytes
    remark: bytes


class Member:
    """An entry and its life; `run` may be called once."""

    def __init__(
        self, number: int, entry: Entry, settings: Settings, printer: Printer, prefixes: Prefixes
    ) -> None:
        self.entry = entry
        self.said = asyncio.Event()
        """A line that was waited for has come."""
        self._number, self._printer, self._prefixes = number, printer, prefixes
        self._quiet, self._restarting = settings.quiet, settings.restarting
        self._command = Command(
            entry.words, surroundings=Surroundings(settings.folder, settings.env)
        )
        self._bounds = Bounds(grace=settings.grace)
        self._job: Job | None = None
        self._ending: int | None = None
        self._told = asyncio.Event()

    async def run(self, spawner: Spawner) -> End:
        """Start it as often as was asked; its last end. Cancelled, it ends it."""
        dice = random.Random()  # noqa: S311  # jitter
        streak = 0
        for starts in count(1):
            end = await self._once(spawner)
            streak = 1 if end.seconds >= self._restarting.calm else streak + 1
            if self._ending is not None or not self._again(end, starts):
                break
            delay = Retries(first=self._restarting.first, most=self._restarting.most).delay(
                streak, dice
            )
            self.remark(f"{end}; starts again in {delay:.1f} s")
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._told.wait()  # who is to end does not start again
                break
        (self.say if end.error else self.remark)(str(end))
        return end

    def end(self, number: int) -> None:
        """Have its group end by this signal, whatever it is doing; start it no more."""
        self._ending = number
        self._told.set()
        self.signal(number)
        self.signal(signal.SIGCONT)  # one that was stopped hears nothing else

    def signal(self, number: int) -> None:
        """Send a signal to its group, if it runs."""
        if self._job:
            self._job.signal(number)

    def remark(self, text: str) -> None:
        """Say something of it, unless nobody wants to hear remarks."""
        if not self._quiet:
            self.say(text)

    def say(self, text: str) -> None:
        """Write a line of ours on standard error."""
        self._printer.put("stderr", prefixed(self._prefixes.remark, text.encode()))

    def _again(self, end: End, starts: int) -> bool:
        """Whether to start it once more after so many starts."""
        if self.entry.ready is Done.DONE and end.code == 0:
            return False
        times = self._restarting.times
        return times is None or (end.code != 0 and starts <= times)

    async def _once(self, spawner: Spawner) -> End:
        if self._ending is not None:
            return End(None, None, 0.0, reason="cancelled", error="not started")
        self._job = Job(self._number, self._command, self._hear, bounds=self._bounds, lines=True)
        try:
            return await self._job.run(spawner)
        except NotStartedError as error:
            return End(None, None, 0.0, reason="not started", error=str(error))
        finally:
            self._job = None

    def _hear(self, event: Event, job: Job) -> bool:
        if isinstance(event, Output):
            if not self.said.is_set() and says(self.entry.ready, event.data):
                self.said.set()
            block = prefixed(getattr(self._prefixes, event.stream), event.data)
            return self._printer.put(event.stream, block, job.resume)
        if isinstance(event, Started):
            assert job.child
            # What it leaves behind would hold the port when it is started again.
            job.child.sweep()
            self.remark(f"started (pid {event.pid})")
            if self._ending is not None:  # told so while it was being started
                job.signal(self._ending)
        return True
