"""All that becomes of jobs: shown, kept, written down, counted."""

from __future__ import annotations

import asyncio
import resource
from functools import partial
from types import TracebackType
from typing import Protocol, Self

from netkit.clients.run.joblog import Joblog
from netkit.clients.run.output import held
from netkit.clients.run.output.failures import OutputError
from netkit.clients.run.output.form import Form
from netkit.clients.run.output.grouped import Grouped
from netkit.clients.run.output.json import Json
from netkit.clients.run.output.live import Live
from netkit.clients.run.output.results import Results
from netkit.clients.run.output.screen import Screen
from netkit.clients.run.output.work import Work
from netkit.clients.run.output.writer import Writer
from netkit.clients.run.progress import Progress
from netkit.subprocesses.command import Stdio
from netkit.subprocesses.events import Ended, Event, Output, Retrying, Started

FIRST, INTERVAL = 0.5, 0.25
"""Seconds until progress is shown, which a short run never sees, and between two looks."""

SPARE = 24
"""Descriptors that files for output leave free: starting jobs takes some for a moment."""


class Mode(Protocol):
    """One way to show output."""

    def begin(self, job: int, work: Work) -> tuple[Stdio | int, Stdio | int]:
        """What a job gets for standard output and error, open until its end."""

    def event(self, event: Event, host: str) -> None:
        """Something happened to a job that was begun; what blocks is put to the writer."""

    def finish(self) -> None:
        """There will be no more events, whether or not all jobs have ended."""

    def close(self) -> None:
        """Close what is open, shown or not."""


class Outputs:
    """Shows what jobs put out and records their ends, for the length of an ``async with`` block.

    `stdout` and `stderr` are descriptors that stay open; None: closed. The joblog stays the
    caller's. `finish` waits until all is shown; leaving the block without it gives up the rest.

    Raised by all that wait: `OutputClosedError` if nobody reads what is shown, `OutputError`
    for a full disk and its like. By entering it, `UsageError`.
    """

    def __init__(
        self,
        form: Form,
        stdout: int | None,
        stderr: int | None,
        *,
        joblog: Joblog | None = None,
        total: int | None = None,
    ) -> None:
        self._form, self._fds, self._joblog = form, (stdout, stderr), joblog
        self._progress = Progress(total)
        self._running: set[int] = set()
        self._freed = asyncio.Event()
        self._highest = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE
        self._full = False

    @property
    def total(self) -> int | None:
        """How many jobs there will be, for progress; None: nobody knows yet."""
        return self._progress.total

    @total.setter
    def total(self, jobs: int | None) -> None:
        self._progress.total = jobs

    async def __aenter__(self) -> Self:
        self._form.check()
        self._writer = Writer(Screen(*self._fds))
        try:
            self._results, self._mode = self._made()
        except BaseException:  # the thread is to end, whatever it is
            await self._writer.close()
            raise
        shown = self._form.progress is not False and self._writer.screen.is_terminal("stderr")
        self._drawing = asyncio.create_task(self._draw()) if shown else None
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stop_drawing()
        await self._writer.close()
        self._mode.close()

    def recorded(self, work: Work) -> bool:
        """Whether there are results of a job with these arguments, of an earlier run."""
        return self._results is not None and self._results.has(work)

    async def begin(self, job: int, work: Work) -> tuple[Stdio | int, Stdio | int]:
        """What the engine's job number `job` gets for standard output and error.

        Waits while readers of our output are too slow, or there are no descriptors.
        """
        while True:
            await self._writer.room()
            if self._full and self._busy:
                await self._change()
            try:
                places = self._mode.begin(job, work)
            except OSError as error:
                if error.errno not in held.SCARCE or not self._busy:
                    raise OutputError(f"job {work.number}: {error.strerror}") from None
                self._full = True
            else:
                # The kernel gives the lowest that is free, so this tells how many are taken.
                self._full = any(isinstance(fd, int) and fd > self._highest for fd in places)
                self._running.add(job)
                return places

    async def event(self, event: Event, host: str = ":") -> None:
        """Show and record what happened to a job, `host` being where it runs."""
        self._progress.event(event)
        self._mode.event(event, host)
        if type(event) is Output:
            await self._writer.room()
        elif isinstance(event, Started):
            self._running.add(event.job)
        elif isinstance(event, Retrying | Ended):
            self._running.discard(event.job)  # one that waits for its next start frees nothing
            self._freed.set()

    def say(self, line: str) -> None:
        """Write a line to standard error, whole."""
        self._writer.put(partial(self._writer.screen.write, "stderr", [f"{line}\n".encode()]))

    async def broken(self) -> None:
        """Wait until something cannot be shown or recorded, and raise why."""
        await self._writer.broken()

    async def finish(self) -> None:
        """Wait until everything is shown and recorded."""
        await self._stop_drawing()
        self._mode.finish()
        self._writer.put(partial(self._writer.screen.keep, b""))
        if self._form.progress:
            self.say(self._progress.summary())
        await self._writer.finish()

    def _made(self) -> tuple[Results | None, Mode]:
        form, writer = self._form, self._writer
        log = self._joblog.add if self._joblog else None
        results = Results(form.results, writer, log) if form.results else None
        if form.mode == "json":
            return results, Json(writer, log, results)
        if form.mode == "live":
            return results, Live(writer, log, tagged=form.tag)
        if results:
            return results, results
        return results, Grouped(writer, log, in_order=form.keep_order, tagged=form.tag)

    @property
    def _busy(self) -> bool:
        """Whether something is under way that will give back descriptors."""
        return bool(self._running) or not self._writer.idle

    async def _change(self) -> None:
        """Wait until a job has ended or something was written."""
        self._freed.clear()
        written = asyncio.create_task(self._writer.some())
        ended = asyncio.create_task(self._freed.wait())
        try:
            await asyncio.wait({written, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            written.cancel()
            ended.cancel()
            await asyncio.gather(written, ended, return_exceptions=True)

    async def _draw(self) -> None:
        await asyncio.sleep(FIRST)  # a picture each so many seconds is what is asked for
        while True:
            if self._writer.idle:  # else it is stuck, or draws by itself
                self._writer.put(self._look, 1)
            await asyncio.sleep(INTERVAL)  # the pace of drawing

    def _look(self) -> None:
        screen = self._writer.screen
        colour = screen.is_coloured("stderr")
        screen.keep(self._progress.draw(screen.width() - 1, colour=colour))

    async def _stop_drawing(self) -> None:
        if self._drawing:
            self._drawing.cancel()
            await asyncio.gather(self._drawing, return_exceptions=True)
            self._drawing = None
