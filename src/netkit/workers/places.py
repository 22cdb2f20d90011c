"""A worker's place in the crew, and which sockets go with it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from netkit.workers.child import Child
from netkit.workers.restarts import Restarts


@dataclass
class Place:
    """One worker's place in the crew, whoever holds it."""

    number: int
    sets: list[int]
    """Which sets of sockets its worker serves."""
    child: Child | None = None
    restarts: Restarts = field(default_factory=Restarts)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set to have its worker replaced."""
    answer: asyncio.Future[bool] | None = None
    """Whether that went well."""
    bear_until: float = 0.0
    """`loop.time()` before which a worn worker stays, as the next one failed to start."""
    task: asyncio.Task[None] | None = None

    async def back_off(self, served: float) -> None:
        """Wait before another start, its last worker having served for `served` seconds.

        Whoever asks for a worker meanwhile, because the fault is mended, gets one at once.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.restarts.after(served)):
                await self.asked.wait()

    def answered(self, well: bool) -> None:
        """Tell who asked."""
        self.asked.clear()
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(well)


def dealt(sets: int, workers: int) -> list[list[int]]:
    """Which sets of sockets each worker serves: all of them are served."""
    return [list(range(worker, max(sets, workers), workers)) for worker in range(workers)]
