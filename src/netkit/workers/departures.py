"""Workers on their way out, and what those that are gone had counted."""

from __future__ import annotations

import asyncio
import logging

from netkit.observability.families import Families
from netkit.observability.figures import Figures
from netkit.workers.child import Child

log = logging.getLogger("netkit.workers")

MARGIN = 5.0
"""Seconds that a worker gets beyond its grace period to end by itself."""


class Departures:
    """Sees workers out, each within `grace` seconds and `MARGIN`."""

    def __init__(self, grace: float) -> None:
        self.leaving: set[Child] = set()
        self.settled = Figures()
        """What those that are gone had counted."""
        self.authored = Families()
        """What their author had, of that."""
        self._grace = grace
        self._hurried = False
        self._tasks: set[asyncio.Task[None]] = set()

    def see_out(self, child: Child) -> None:
        """Let a worker go: it keeps long connections meanwhile, unless all are to drain."""
        self.leaving.add(child)  # at once: nobody may look and miss it
        task = asyncio.get_running_loop().create_task(self._seen_out(child))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def drain(self) -> None:
        """From now on, let none keep its connections."""
        self._hurried = True
        for child in self.leaving:
            child.drain()

    async def gone(self) -> None:
        """Wait until nobody is on the way out."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def settle(self, child: Child) -> None:
        """Keep what one had counted that has ended."""
        self.settled.counters.update(child.figures.counters)
        self.authored.settle(child.authored)

    async def _seen_out(self, child: Child) -> None:
        """It keeps to the grace period itself, or is killed."""
        hearing = asyncio.get_running_loop().create_task(child.listen())
        if self._hurried:
            child.drain()
        else:
            child.retire()
        try:
            async with asyncio.timeout(self._grace + MARGIN):
                await child.process.wait()
        except TimeoutError:
            log.error("worker %d (pid %d) does not end: killed", child.number, child.pid)
            child.kill()
        finally:
            hearing.cancel()
            await asyncio.wait([hearing])
            await child.ended()
            self.leaving.discard(child)
            self.settle(child)
