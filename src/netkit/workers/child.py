"""The supervisor's view of one worker: a process, its channel, and what is known of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from netkit.endpoints import Endpoint
from netkit.ledger import Ledger
from netkit.observability.families import Families
from netkit.observability.figures import Figures
from netkit.workers.channel import Channel
from netkit.workers.inheritance import BLOCKED, Inheritance
from netkit.workers.snapshot import Snapshot

ANSWER = 2.0
"""Seconds for an answer; a worker whose loop is held up gives none."""

LEFT = 0.5
"""Seconds for what a worker that has ended left in its channel; processes that it forked
may hold that open."""


@dataclass(frozen=True)
class Failure:
    """Why a worker never became ready, in its own words, and the status it chose."""

    why: str
    status: int


@dataclass(eq=False)
class Child:
    """One worker process. `ended` reaps it."""

    number: int
    process: asyncio.subprocess.Process
    channel: Channel
    snapshot: Snapshot
    ready_at: float = 0.0
    """`loop.time()` when it began to serve; 0 before."""
    heard_at: float = 0.0
    """`loop.time()` of its last sign of life."""
    figures: Figures = field(default_factory=Figures)
    """What it said last of itself."""
    authored: Families = field(default_factory=Families)
    """What it said last of what its author counts."""
    failure: Failure | None = None
    _let_go: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    """What is to be done once its process is gone."""
    _asked: dict[int, asyncio.Future[Any]] = field(default_factory=dict)
    _questions: Iterator[int] = field(default_factory=count)

    @classmethod
    async def start(
        cls, number: int, command: Sequence[str], endpoints: Sequence[Endpoint], ledger: Ledger
    ) -> Child:
        """Start a worker that inherits these sockets, and a row of the ledger. Raises OSError.

        One at a time: the signal mask meanwhile is the process's.
        """
        with contextlib.ExitStack() as held:
            snapshot = Snapshot()
            held.callback(snapshot.close)
            if (row := ledger.take()) is not None:
                held.callback(ledger.give_back, row)
            ours, theirs = socket.socketpair()
            with theirs:
                inheritance = Inheritance(
                    number,
                    theirs.fileno(),
                    tuple((str(each.address), each.sock.fileno()) for each in endpoints),
                    None if row is None else (ledger.descriptor, row),
                    snapshot.descriptor,
                )
                try:
                    process = await _spawned(command, inheritance)
                except BaseException:  # a cancellation too
                    ours.close()
                    raise
            channel = await Channel.over(ours)
            now = asyncio.get_running_loop().time()
            child = cls(number, process, channel, snapshot, heard_at=now)
            child._let_go = held.pop_all()
        return child

    async def listen(self) -> None:
        """Take in what it says until it is ready, has said its last, or hangs up."""
        while (message := await self.channel.hear()) is not None:
            self.heard_at = asyncio.get_running_loop().time()
            match message:
                case {"is": "ready"}:
                    self.ready_at = self.heard_at
                    return
                case {"is": "failed", "why": str(why), "status": int(status)}:
                    self.failure = Failure(why, status)
                case {"is": "beat", "figures": dict(told)}:
                    self.figures = Figures.of(told).at_least(self.figures)
                case {"is": "last", "figures": dict(told), "authored": dict(counted)}:
                    self.figures = Figures.of(told).at_least(self.figures)
                    self.authored = Families.of(counted).at_least(self.authored)
                    break
                case {"is": "answer", "to": int(number), "value": value}:
                    self._answered(number, value)
        for number in list(self._asked):
            self._answered(number, None)

    async def ask(self, what: str, **more: Any) -> Any:
        """Its answer; None if it gives none in time. Somebody must `listen` meanwhile."""
        number = next(self._questions)
        self._asked[number] = answer = asyncio.get_running_loop().create_future()
        self.channel.say("ask", number=number, what=what, **more)
        try:
            async with asyncio.timeout(ANSWER):
                return await answer
        except TimeoutError:
            return None
        finally:
            del self._asked[number]

    def _answered(self, number: int, value: Any) -> None:
        answer = self._asked.get(number)
        if answer is not None and not answer.done():
            answer.set_result(value)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def served(self) -> float:
        """Seconds since it was ready; 0 if it never was."""
        return asyncio.get_running_loop().time() - self.ready_at if self.ready_at else 0.0

    async def doing(self) -> list[str] | None:
        """Where the thread of its loop is; see `Snapshot.take`. For one that gives no answer."""
        return await self.snapshot.take(self.send) if self.ready_at else None

    def retire(self) -> None:
        """Tell it that another accepts in its place: it ends when its connections have."""
        self.channel.say("retire")

    def drain(self) -> None:
        """Tell it to accept no more, and to end its connections in order."""
        self.send(signal.SIGTERM)

    def hurry(self) -> None:
        """Tell it that its grace period is over."""
        self.channel.say("hurry")

    def kill(self) -> None:
        """End it, whatever it does."""
        self.send(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens if it has ended."""
        # As asyncio does itself from 3.13 on: before, its send_signal() may reap a process that
        # has just ended, and the status is lost (CPython issue 87744).
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def ended(self) -> int:
        """Wait for its end; its status, negative for the signal that it died by.

        What it said last is taken in, so nobody may `listen` by now.
        """
        status = await self.process.wait()
        self._let_go.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEFT):
                await self.listen()
        self.channel.close()
        return status


async def _spawned(command: Sequence[str], inheritance: Inheritance) -> asyncio.subprocess.Process:
    # A worker is born deaf to these: until it has said what it does about them, Ctrl-C
    # would be a traceback and a hang-up its end.
    signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=inheritance.descriptors(),
            env={**os.environ, **inheritance.environment()},
        )
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED)


def said(status: int) -> str:
    """A status as people write it."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
