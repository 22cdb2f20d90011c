"""The source that asks all workers of a supervisor."""

from __future__ import annotations

import asyncio
from typing import Any

from netkit.admin.source import Report
from netkit.observability.figures import Figures, together
from netkit.workers.child import Child
from netkit.workers.crew import Crew


class Everyone:
    """Answers for a crew: those who serve, and those on their way out."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    def ready(self) -> bool:
        """See `Source`."""
        return self._crew.ready

    async def report(self) -> Report:
        """See `Source`. Of a worker that does not answer it has what that said last."""
        children = self._crew.children
        await asyncio.gather(*map(self._count, children))
        # Asked again after the wait: one that has ended meanwhile is in `settled` now.
        workers: dict[int, Figures] = {}
        for child in self._crew.children:
            before = workers.get(child.number, Figures())
            workers[child.number] = together([before, child.figures])
        return Report(workers, self._crew.settled, self._crew.deaths)

    async def connections(self) -> list[dict[str, Any]]:
        """See `Source`."""
        return await self._all("connections")

    async def tasks(self) -> list[dict[str, Any]]:
        """See `Source`. The supervisor's own are not among them."""
        return await self._all("tasks")

    async def scale(self, count: int) -> bool:
        """See `Source`."""
        await self._crew.scale(count)
        return len(self._crew.places) == count

    async def kick(self, worker: int, number: int) -> bool:
        """See `Source`."""
        asked = [child for child in self._crew.children if child.number == worker]
        return any(await asyncio.gather(*(child.ask("kick", id=number) for child in asked)))

    async def _all(self, what: str) -> list[dict[str, Any]]:
        children = self._crew.children
        answers = await asyncio.gather(*(child.ask(what) for child in children))
        return [
            {"worker": child.number, "pid": child.pid, **each}
            for child, answer in zip(children, answers, strict=True)
            for each in answer or ()
        ]

    async def _count(self, child: Child) -> None:
        if (told := await child.ask("figures")) is not None:
            child.figures = Figures.of(told).at_least(child.figures)
