"""A job of a caller's, from the order to the end of what is kept of it.

Rules:

- It has a ticket, so it may have to wait; then a line in the audit log; only then it runs.
- Whoever watches it reads its tape at their own pace. A job that is not detached has one
  watcher, and waits for it when it is slow; one that is detached waits for nobody: what
  the tape cannot hold is dropped, oldest first, and slow watchers hear how much.
- A job whose only watcher is gone is ended, unless it is detached.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from dataclasses import asdict, dataclass, replace
from typing import Literal, Protocol

from netkit.jobs.messages import Exit
from netkit.servers.runner.admission import Admission, Ticket
from netkit.servers.runner.allowlist import Permission
from netkit.servers.runner.audit import Audit
from netkit.servers.runner.callers import Caller
from netkit.servers.runner.tape import Cursor, Tape
from netkit.subprocesses.children import Spawner
from netkit.subprocesses.command import Command, NotStartedError, Stdio, WindowSize
from netkit.subprocesses.events import End, Event, Output, Started
from netkit.subprocesses.job import Job

log = logging.getLogger("netkit.server")

HELD = 256 * 1024
"""Bytes that wait for a watcher; then the program has to."""

Why = Literal["killed", "disconnected", "output", "server"]


class Watcher(Protocol):
    """Who watches a job."""

    cursor: Cursor

    def wake(self) -> None:
        """Hear that there is something new."""

    def taken(self, size: int) -> None:
        """Hear that the program has got so many bytes of its input."""


@dataclass(frozen=True)
class Order:
    """What is to run for whom, as the list allows it."""

    caller: Caller
    peer: str
    """Where the caller is, for the log."""
    permission: Permission
    words: tuple[str, ...]
    stdin: bool = False
    detach: bool = False
    terminal: WindowSize | None = None
    term: str = ""
    """What TERM is then."""

    def command(self) -> Command:
        """What the engine gets."""
        around = self.permission.surroundings
        if self.terminal:
            around = replace(around, env={**(around.env or {}), "TERM": self.term or "dumb"})
        stdin = Stdio.PIPE if self.stdin else Stdio.NULL
        return Command(self.words, stdin=stdin, terminal=self.terminal, surroundings=around)


class Run:
    """One job. `live` is its life; whoever makes it runs that in a task."""

    def __init__(self, order: Order, admission: Admission, replay: int) -> None:
        self.order = order
        self.id = secrets.token_hex(8)  # nobody else's can be guessed
        self.began = time.time()
        self.tape = Tape()
        self.watchers: set[Watcher] = set()
        self.started = False
        self.exit: Exit | None = None
        self.written = 0
        """Bytes of output."""
        self._admission, self._replay = admission, replay
        self._why: Why | None = None
        self._go: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._ticket = Ticket(
            order.caller, order.permission.name, order.permission.concurrency, self._admitted
        )
        self._job: Job | None = None
        self._running: asyncio.Task[End] | None = None
        self._paused = False
        self._input = bytearray()
        self._input_ended = False
        self._input_came = asyncio.Event()
        admission.enter(self._ticket)

    @property
    def state(self) -> str:
        """queued, running or ended."""
        return "ended" if self.exit else "running" if self.started else "queued"

    @property
    def ahead(self) -> int | None:
        """How many wait before it; None if it need not wait."""
        return None if self._go.done() else self._admission.ahead(self._ticket)

    async def live(self, audit: Audit, spawner: Spawner) -> None:
        """Wait for a place, run, end."""
        try:
            self.exit = await self._outcome(audit, spawner)
        except Exception as error:  # a fault of ours: the caller must not wait for ever
            log.error("a job was lost", exc_info=error)
            self.exit = Exit(None, None, "lost", time.time() - self.began, error="a fault in here")
        finally:
            self._admission.leave(self._ticket)
        self._wake()

    def kill(self, why: Why = "killed") -> None:
        """End it, by TERM and after its grace by KILL; may be called again."""
        self._why = self._why or why
        if not self._go.done():
            self._go.set_result(False)
        if self._running:
            self._running.cancel()

    def signal(self, number: int) -> None:
        """Send a signal to its process group, if it runs."""
        if self._job and not self.exit:
            self._job.signal(number)

    def resize(self, size: WindowSize) -> None:
        """Tell it of its terminal's new size, if it has one."""
        if self._job and not self.exit:
            self._job.resize(size)

    def feed(self, data: bytes) -> None:
        """Give it input; the watcher hears by `taken` when it has got it."""
        self._input += data
        self._input_came.set()

    def end_input(self) -> None:
        """Let it see the end of its input, after what was given before."""
        self._input_ended = True
        self._input_came.set()

    def watch(self, watcher: Watcher) -> None:
        """Let somebody watch, from the beginning of what is held."""
        self.watchers.add(watcher)

    def leave(self, watcher: Watcher) -> None:
        """Hear that somebody watches no more."""
        self.watchers.discard(watcher)
        if not self.watchers and not self.order.detach and not self.exit:
            self.kill("disconnected")

    def read(self) -> None:
        """Hear that a watcher has read: what nobody needs any more is dropped."""
        if self.order.detach or not self.watchers:
            return
        self.tape.forget(min((each.cursor for each in self.watchers), key=lambda each: each.at))
        if self._paused and self.tape.held < HELD // 2 and self._job:
            self._paused = False
            self._job.resume()

    def _admitted(self) -> None:
        if not self._go.done():
            self._go.set_result(True)

    async def _outcome(self, audit: Audit, spawner: Spawner) -> Exit:
        if not await self._go:
            return self._not_started("")
        told = self._told()
        try:
            await audit.start(**told)
        except OSError:
            return self._not_started("the audit log cannot be written, so nothing is started")
        self.began = time.time()
        ended = await self._run(spawner)
        seconds = round(ended.seconds, 3)
        await audit.end(**told, **{**asdict(ended), "seconds": seconds}, output=self.written)
        return ended

    def _told(self) -> dict[str, object]:
        order = self.order
        return {
            "job": self.id, "caller": sorted(order.caller.names), "peer": order.peer,
            "command": order.permission.name, "words": order.words,
            "run_as": order.permission.surroundings.user, "terminal": order.terminal is not None,
            "detached": order.detach,
        }  # fmt: skip

    def _not_started(self, error: str) -> Exit:
        why = "not started" if error else self._why or "killed"
        return Exit(None, None, why, 0.0, error=error)

    async def _run(self, spawner: Spawner) -> Exit:
        bounds = self.order.permission.bounds
        job = self._job = Job(1, self.order.command(), self._sink, bounds=bounds, lines=False)
        began = time.monotonic()
        running = self._running = asyncio.create_task(job.run(spawner))
        feeding = asyncio.create_task(self._feed(job))
        if self._why:  # it was ended while its line was written
            running.cancel()
        try:
            await asyncio.wait({running})
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
        seconds = time.monotonic() - began
        if running.cancelled():
            return self._killed(job, seconds)
        error = running.exception()
        if isinstance(error, NotStartedError):
            log.warning("job %s: %s", self.id, error)
            return Exit(None, None, "not started", seconds, error=str(error))
        if error:
            raise error
        return _exit(running.result())

    def _killed(self, job: Job, seconds: float) -> Exit:
        """How it ended, where the engine was told to end it."""
        why, child = self._why or "killed", job.child
        if child is None or not child.fate.done() or child.fate.exception():
            return Exit(None, None, why, seconds)
        status, usage = child.fate.result()[:2]
        code, number = (status, None) if status >= 0 else (None, -status)
        return _exit(End(code, number, seconds, usage), why)

    def _sink(self, event: Event, job: Job) -> bool:
        if isinstance(event, Started):
            self.started = True
            self._input_came.set()
            self._wake()
        elif isinstance(event, Output):
            return self._output(event)
        return True

    def _output(self, output: Output) -> bool:
        room = self.order.permission.output - self.written
        data = output.data[:room]
        if len(data) < len(output.data):
            self.kill("output")
        if data and (self.watchers or self.order.detach):
            self.written += len(data)
            self.tape.append(output.stream, data)
            if self.order.detach:
                self.tape.shorten(self._replay)
            self._wake()
        full = not self.order.detach and self.tape.held >= HELD and bool(self.watchers)
        self._paused = self._paused or full
        return not full

    def _wake(self) -> None:
        for each in list(self.watchers):
            each.wake()

    async def _feed(self, job: Job) -> None:
        while not self.started:
            await self._news_of_input()
        while True:
            data = bytes(self._input)
            self._input.clear()
            if data and job.stdin:
                await job.stdin.write(data)
            for each in list(self.watchers):
                each.taken(len(data))
            if self._input_ended and not self._input:
                break
            if not self._input:
                await self._news_of_input()
        if job.stdin and self.order.terminal:
            await job.stdin.write(b"\x04")  # a terminal has no end: this is how one says it
        elif job.stdin:
            job.stdin.close()

    async def _news_of_input(self) -> None:
        await self._input_came.wait()
        self._input_came.clear()


def _exit(end: End, reason: str = "") -> Exit:
    usage = end.usage
    return Exit(
        end.status, end.signal, reason or end.reason, end.seconds,
        user=usage and usage.user, system=usage and usage.system,
        max_rss=usage and usage.max_rss, error=end.error,
    )  # fmt: skip
