"""Numbers of the slots that jobs run in: ``{%}``."""

from __future__ import annotations

import asyncio
import heapq


class Slots:
    """Numbers from 1 to `limit`; no two jobs have the same one at a time."""

    def __init__(self, limit: int) -> None:
        self._free = list(range(1, limit + 1))
        self._freed = asyncio.Event()
        self._jobs: dict[int, int] = {}

    async def take(self, job: int) -> int:
        """The lowest that is free, for a job; waits for one."""
        while not self._free:
            self._freed.clear()
            await self._freed.wait()
        self._jobs[job] = slot = heapq.heappop(self._free)
        return slot

    def give_back(self, job: int) -> None:
        """The job has ended."""
        heapq.heappush(self._free, self._jobs.pop(job))
        self._freed.set()
