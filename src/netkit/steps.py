"""What is done on a socket step by step, each once the loop says that it can go on.

A generator yields what it waits for. That is a task without the futures, and while it waits
for the same again, the loop goes on watching instead of being asked anew: for what happens
at the beginning of every connection that is worth having.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")


class Until(Enum):
    """What steps wait for."""

    READABLE = "something has arrived, or the end has"
    WRITABLE = "the kernel has room for what is to be sent, or the connection is gone"


Steps = Generator[Until, None, T]


class Stepping(Generic[T]):
    """Steps that are under way on a non-blocking socket, which stays the caller's.

    `finished` or `failed` is called once, unless it is stopped before.
    """

    __slots__ = ("_descriptor", "_failed", "_finished", "_loop", "_steps", "_waits")

    def __init__(
        self,
        descriptor: int,
        steps: Steps[T],
        finished: Callable[[T], object],
        failed: Callable[[OSError], object],
    ) -> None:
        self._descriptor = descriptor
        self._steps = steps
        self._finished = finished
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._waits: Until | None = None

    def go_on(self) -> None:
        """Take steps until one has to wait; call it once, to begin."""
        try:
            waits = next(self._steps)
        except StopIteration as end:
            result: T = end.value
        except OSError as error:
            self._watch(None)
            self._failed(error)
            return
        else:
            if waits is not self._waits:
                self._watch(waits)
            return
        self._watch(None)
        self._finished(result)

    def stop(self) -> None:
        """Take no more of them."""
        self._watch(None)
        self._steps.close()

    def _watch(self, waits: Until | None) -> None:
        before, self._waits = self._waits, waits
        if before is Until.READABLE:
            self._loop.remove_reader(self._descriptor)
        elif before is Until.WRITABLE:
            self._loop.remove_writer(self._descriptor)
        if waits is Until.READABLE:
            self._loop.add_reader(self._descriptor, self.go_on)
        elif waits is Until.WRITABLE:
            self._loop.add_writer(self._descriptor, self.go_on)
