"""Bytes on their way to a descriptor of a job, in order, at the pace of who reads it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

from netkit.clients.run.output import copying
from netkit.stdio import Lane
from netkit.subprocesses.command import Stdio
from netkit.subprocesses.pipes import Inlet

MOST = 256 * 1024
"""Bytes that wait; then no more are wanted. A write takes all that wait."""


class Outflow:
    """One descriptor's. `roomy` is called when there is room again.

    `write` writes all of what it gets, and `done` closes the descriptor. What fails is raised
    by `finish`; what comes after that is thrown away, as nobody can have it.
    """

    def __init__(
        self,
        write: Callable[[bytes], Awaitable[object]],
        done: Callable[[], None],
        roomy: Callable[[], None],
    ) -> None:
        self._write, self._done, self._roomy = write, done, roomy
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._wanted = asyncio.Event()
        self._over = self._broken = False
        self._task = asyncio.create_task(self._run())

    @property
    def full(self) -> bool:
        """Whether no more is wanted now."""
        return self._waiting >= MOST

    def put(self, data: bytes) -> None:
        """Have this written."""
        if not self._broken:
            self._pieces.append(data)
            self._waiting += len(data)
            self._wanted.set()

    async def finish(self) -> None:
        """Wait until all is written. Raises `OSError`."""
        self._over = True
        self._wanted.set()
        await asyncio.shield(self._task)

    async def close(self) -> None:
        """Give up the rest, and close the descriptor. May be called twice."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._done()

    async def _run(self) -> None:
        try:
            while self._pieces or not self._over:
                if not self._pieces:
                    self._wanted.clear()
                    await self._wanted.wait()
                    continue
                data, self._pieces = b"".join(self._pieces), []
                await self._write(data)
                full, self._waiting = self.full, self._waiting - len(data)
                if full and not self.full:
                    self._roomy()
        except OSError:
            self._broken = True
            self._pieces, self._waiting = [], 0
            self._roomy()
            raise


def outflow(wanted: Stdio | int, fd: int, lane: Lane, roomy: Callable[[], None]) -> Outflow | None:
    """For what a job has as standard output or error; None if nobody is to have it.

    `fd` stays the caller's. Raises `OSError` if there is no descriptor.
    """
    if wanted is Stdio.NULL:
        return None
    own = os.dup(fd)
    if wanted is Stdio.PIPE:  # the engine's, and it has closed its copy when this is written to
        os.set_blocking(own, False)
        inlet = Inlet(own)
        return Outflow(inlet.write, inlet.close, roomy)
    # A file has no readiness, and to make another's pipe non-blocking is not ours.
    closing = [own]

    async def write(data: bytes) -> None:
        await lane.call(copying.write, own, [data])

    def done() -> None:
        while closing:
            os.close(closing.pop())

    return Outflow(write, done, roomy)
