"""What an iterator gives, taken in a thread, a little ahead of who uses it."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Generic, TypeVar

from netkit import threads

T = TypeVar("T")

MOST = 10_000
"""What is taken before it is used: so the end of most runs is known from their beginning."""


class Ahead(Generic[T]):
    """An asynchronous iterator over `iterator`, whose reading may block.

    The thread is a daemon: a read that never returns does not hold up the process's end.
    What the iterator raises is raised behind what it gave before.
    """

    def __init__(self, iterator: Iterator[T], most: int = MOST) -> None:
        self._iterator = iterator
        self._loop = asyncio.get_running_loop()
        self._ready: deque[T] = deque()
        self._room = threading.Semaphore(most)
        self._woken = asyncio.Event()
        self._waiting = self._over = self._closed = False
        self._error: BaseException | None = None
        self._taken = 0
        threads.start(self._take, "arguments")

    def __aiter__(self) -> Ahead[T]:
        return self

    @property
    def total(self) -> int | None:
        """How many there are, once that is known."""
        return self._taken if self._over else None

    async def __anext__(self) -> T:
        while not self._closed:
            over = self._over  # before looking: what came before the end is there then
            if self._ready:
                self._room.release()
                return self._ready.popleft()
            if over:
                break
            self._woken.clear()
            self._waiting = True
            if not self._ready and not self._over:
                await self._woken.wait()
        if self._error and not self._closed:
            raise self._error
        raise StopAsyncIteration

    def close(self) -> None:
        """Give no more; the thread ends when the iterator next gives something."""
        self._closed = True
        self._woken.set()
        self._room.release()

    def _take(self) -> None:
        try:
            for item in self._iterator:
                self._room.acquire()
                if self._closed:
                    break
                self._ready.append(item)
                self._taken += 1
                self._wake()
        except BaseException as error:  # whatever it is, the one who uses it gets it
            self._error = error
        finally:
            self._over = True
            self._wake()

    def _wake(self) -> None:
        if self._waiting:
            self._waiting = False
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._woken.set)
