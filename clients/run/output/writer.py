"""Writing from the loop: in order, in a thread, and no more of it waiting than has room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from netkit.clients.run.output.screen import Screen
from netkit.stdio import Lane

MOST = 4 * 1024 * 1024
"""Bytes that wait; then jobs' pipes are read no more, and no job is started."""

FILE = MOST // 64
"""What outputs on disk count for: they cost descriptors, two for each job."""

PATIENCE = 1.0
"""Seconds for what is under way when the rest is given up."""

Item = Callable[[], None]


class Writer:
    """Makes calls that may block, on the screen above all, one after the other.

    The first that fails is the last: `room`, `broken` and `finish` raise what it raised.
    """

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self._lane = Lane("output")
        self._items: list[Item] = []
        self._weight = 0
        self._wanted, self._roomy = asyncio.Event(), asyncio.Event()
        self._closing = self._over = False
        loop = asyncio.get_running_loop()
        self._failure: asyncio.Future[None] = loop.create_future()
        self._task = loop.create_task(self._run())

    @property
    def idle(self) -> bool:
        """Whether everything was written."""
        return not self._weight and not self._items

    def put(self, item: Item, weight: int = 0) -> None:
        """Have this called in the thread, after what was put before; `weight` in bytes."""
        self._items.append(item)
        self._weight += weight
        self._wanted.set()

    async def room(self) -> None:
        """Wait until less than `MOST` waits."""
        while self._weight >= MOST and not self._failure.done():
            self._roomy.clear()
            await self._roomy.wait()
        if self._failure.done():
            self._failure.result()

    async def some(self) -> None:
        """Wait until something more was written."""
        self._roomy.clear()
        await self._roomy.wait()

    async def broken(self) -> None:
        """Wait until something cannot be written, and raise why."""
        await asyncio.shield(self._failure)

    async def finish(self) -> None:
        """Wait until all is written."""
        self._closing = True
        self._wanted.set()
        await asyncio.shield(self._task)
        if self._failure.done():
            self._failure.result()

    async def close(self) -> None:
        """Give up what is not written; wait a little for what is under way."""
        self._over = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._lane.call(self.screen.erase)
        self._lane.close()

    async def _run(self) -> None:
        while await self._more():
            items, self._items = self._items, []
            weight = self._weight
            try:
                await self._lane.call(self._make, items)
            except Exception as error:  # whatever it is, those who wait for room get it
                self._failure.set_exception(error)
                self._failure.exception()  # nobody has to ask
                return
            finally:
                # Only now is there room: what is being written counts too.
                self._weight -= weight
                self._roomy.set()

    async def _more(self) -> bool:
        while not self._items and not self._closing:
            self._wanted.clear()
            await self._wanted.wait()
        return bool(self._items)

    def _make(self, items: list[Item]) -> None:
        self.screen.erase()
        for item in items:
            if self._over:
                return
            item()
        self.screen.draw()
