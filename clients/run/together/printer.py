"""What is printed: blocks of whole lines, in the order in which they came.

One thread writes to both outputs, so that lines of a command's output and of its error
output stay in order where both are one terminal. The loop never waits for a reader; the
commands do, when `HELD` bytes are waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import groupby
from operator import itemgetter
from typing import Literal

from netkit.clients.run.output.copying import write
from netkit.errors import NetkitError
from netkit.stdio import Lane, OutputClosedError

Stream = Literal["stdout", "stderr"]

HELD = 4 * 1024 * 1024
"""Bytes that wait to be written; beyond that no pipe is read."""


class Printer:
    """Writes to two descriptors (None: closed), which stay open."""

    def __init__(self, stdout: int | None, stderr: int | None) -> None:
        self._descriptors = {"stdout": stdout, "stderr": stderr}
        self._blocks: list[tuple[Stream, bytes]] = []
        self._held = 0
        self._paused: set[Callable[[], None]] = set()
        self._some = asyncio.Event()
        self._over = False

    def put(self, stream: Stream, block: bytes, resume: Callable[[], None] | None = None) -> bool:
        """Print it; False if its source should pause until `resume` is called."""
        if self._over:
            return True
        self._blocks.append((stream, block))
        self._held += len(block)
        self._some.set()
        if resume is None or self._held < HELD:
            return True
        self._paused.add(resume)
        return False

    def close(self) -> None:
        """Let `run` end when all is written; what is put from now on is dropped."""
        self._over = True
        self._some.set()

    async def run(self) -> None:
        """Write, until `close`. Raises `OutputClosedError` and, for a full disk, `NetkitError`.

        Cancelled, it leaves a write that is under way to its thread.
        """
        lane = Lane("output")
        try:
            while self._blocks or not self._over:
                await self._some.wait()
                self._some.clear()
                await self._write(lane)
        finally:
            self.close()
            self._blocks.clear()
            self._resume()
            lane.close()

    async def _write(self, lane: Lane) -> None:
        """Write what is there, with as few calls as its order allows."""
        blocks, self._blocks = self._blocks, []
        for stream, run in groupby(blocks, itemgetter(0)):
            data = b"".join(block for _, block in run)
            if (fd := self._descriptors[stream]) is not None:
                try:
                    await lane.call(write, fd, [data])
                except BrokenPipeError:
                    raise OutputClosedError from None
                except OSError as error:
                    name = "output" if stream == "stdout" else "error output"
                    raise NetkitError(
                        f"standard {name} cannot be written: {error.strerror}"
                    ) from error
            self._held -= len(data)
        if self._held <= HELD // 2:
            self._resume()

    def _resume(self) -> None:
        paused, self._paused = self._paused, set()
        for resume in paused:
            resume()
