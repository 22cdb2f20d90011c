"""One job, from its start to its end.

Rules, in one place:

1. A job is a process group. What ends it by force ends the group: TERM, and KILL after
   `grace`; also what is left of the group when its leader has ended on TERM.
2. It has ended when its leader has ended *and* its pipes are empty. Others may hold a pipe
   for ever: `linger` after the leader's end what is in them is read, and they are closed.
   Then what is left of its group is killed, unless it may `stay`. Who wants to outlive a job
   becomes a daemon, with a session of its own.
3. Whatever happens, a cancellation during the start too, nothing is left: no process, no
   zombie, no descriptor.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from netkit.subprocesses.children import Child, ChildLostError, Fate, Spawner
from netkit.subprocesses.command import Command, WindowSize, refused
from netkit.subprocesses.events import End, Event, Output, Reason, Started
from netkit.subprocesses.lines import Blocks
from netkit.subprocesses.pipes import Inlet, Outlet
from netkit.subprocesses.shielding import to_its_end
from netkit.subprocesses.wiring import Wiring, resize

Stream = Literal["stdout", "stderr"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a job may take, and how its end is made. All in seconds."""

    timeout: float | None = None
    """From its start to its end; None: no end."""
    grace: float = 5.0
    """From TERM to KILL."""
    linger: float = 0.5
    """From its end to that of its pipes, if somebody else holds them."""
    stay: bool = False
    """Whether processes that it left in its group may live on."""


class Job:
    """A job; `run` is its life.

    `sink` gets its events and says whether it wants more output now; `resume` tells when.
    """

    def __init__(
        self,
        number: int,
        command: Command,
        sink: Callable[[Event, Job], bool],
        *,
        bounds: Bounds,
        lines: bool,
    ) -> None:
        self.number, self.command = number, command
        self.stdin: Inlet | None = None
        """Where its input goes, once it has started, if it is a pipe or a terminal."""
        self.child: Child | None = None
        self._sink, self._bounds, self._lines = sink, bounds, lines
        self._reason: Reason = "exit"
        self._outlets: list[Outlet] = []
        self._open = 0
        self._quiet = asyncio.Event()
        self._terminal = -1

    async def run(self, spawner: Spawner) -> End:
        """Start it, and wait for its end. Cancelled, it ends it first, by TERM and KILL.

        Raises `NotStartedError`.
        """
        began = time.monotonic()
        await self._start(spawner)
        assert self.child
        given = self.command.stdin
        feeding = asyncio.create_task(self._feed(given)) if isinstance(given, bytes) else None
        try:
            fate = await self._fate(self.child)
            try:
                if self._open:
                    await self._dry()
            finally:
                if fate.left and not self._bounds.stay:
                    # Its number is the group's alone for as long as somebody is in it.
                    with suppress(ProcessLookupError, PermissionError):
                        os.killpg(self.child.pid, signal.SIGKILL)
        except ChildLostError as error:
            seconds = time.monotonic() - began
            return End(
                None, None, seconds, reason="lost", error=f"{self.command.words[0]}: {error}"
            )
        finally:
            self._close()
            if feeding:
                await feeding  # at once: nothing can be written any more
        status, number = (fate.status, None) if fate.status >= 0 else (None, -fate.status)
        return End(status, number, time.monotonic() - began, fate.usage, self._reason)

    def resume(self) -> None:
        """Go on reading after `sink` wanted no more."""
        for outlet in self._outlets:
            outlet.resume()

    def signal(self, number: int) -> None:
        """Send a signal to its process group, if it runs."""
        if self.child:
            self.child.signal(number)

    def resize(self, size: WindowSize) -> None:
        """Tell it of its terminal's new size, if it has one."""
        if self._terminal >= 0:
            resize(self._terminal, size)

    async def _feed(self, given: bytes) -> None:
        assert self.stdin
        await self.stdin.write(given)
        self.stdin.close()

    async def _fate(self, child: Child) -> Fate:
        try:
            if self._bounds.timeout is None:
                return await asyncio.shield(child.fate)
            async with asyncio.timeout(self._bounds.timeout):
                return await asyncio.shield(child.fate)
        except TimeoutError:
            self._reason = "timeout"
        except asyncio.CancelledError:
            self._reason = "cancelled"
            with suppress(ChildLostError):
                await self._end(child)
            raise
        return await self._end(child)

    async def _end(self, child: Child) -> Fate:
        """End the group, and wait for that even if we are cancelled: then by KILL at once."""
        child.sweep()
        child.signal(signal.SIGTERM)
        child.signal(signal.SIGCONT)  # one that was stopped hears nothing else
        try:
            async with asyncio.timeout(self._bounds.grace):
                return await asyncio.shield(child.fate)
        except (TimeoutError, asyncio.CancelledError) as error:
            child.signal(signal.SIGKILL)
            if isinstance(error, asyncio.CancelledError):
                with suppress(ChildLostError):
                    await to_its_end(child.fate)
                raise
            return await to_its_end(child.fate)

    async def _dry(self) -> None:
        """Wait for the end of its pipes, for a while."""
        self._drain()
        if not self._quiet.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._bounds.linger):
                    await self._quiet.wait()
            self._drain()

    def _drain(self) -> None:
        for outlet in self._outlets:
            outlet.drain()  # what is there
            outlet.drain()  # mostly the end

    async def _start(self, spawner: Spawner) -> None:
        try:
            wiring = Wiring(self.command)
        except OSError as error:
            raise refused(self.command, error) from None
        try:
            self.child = await spawner.spawn(self.command, wiring.stdio)
        except BaseException:  # a cancellation too
            wiring.close()
            raise
        finally:
            wiring.started()
        self._sink(Started(self.number, time.time(), self.command, self.child.pid), self)
        self._terminal = wiring.terminal
        if wiring.stdin >= 0:
            self.stdin = Inlet(wiring.stdin)
        if wiring.stdout >= 0:
            self._listen(wiring.stdout, "stdout")
        if wiring.stderr >= 0:
            self._listen(wiring.stderr, "stderr")

    def _listen(self, fd: int, stream: Stream) -> None:
        number, sink, blocks = self.number, self._sink, Blocks()

        def chunk(data: bytes) -> bool:
            return sink(Output(number, time.time(), stream, data), self)

        def lines(data: bytes) -> bool:
            block = blocks.feed(data)
            return not block or sink(Output(number, time.time(), stream, block), self)

        def ended() -> None:
            if rest := blocks.end():
                sink(Output(number, time.time(), stream, rest), self)
            self._open -= 1
            if not self._open:
                self._quiet.set()

        self._open += 1
        self._outlets.append(Outlet(fd, lines if self._lines else chunk, ended))

    def _close(self) -> None:
        for outlet in self._outlets:
            outlet.close()
        if self.stdin:
            self.stdin.close()
        if self._terminal >= 0:
            os.close(self._terminal)
            self._terminal = -1
