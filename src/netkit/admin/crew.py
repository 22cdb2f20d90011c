"""The source that asks all workers of a supervisor."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from netkit.admin.source import Report, described, overview
from netkit.observability.families import Families, Family
from netkit.observability.figures import Figures, together
from netkit.observability.merging import Merging
from netkit.workers.child import Child
from netkit.workers.crew import Crew


class Everyone:
    """Answers for a crew: those who serve, and those on their way out."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._merging = Merging()
        self._began = time.monotonic()

    def ready(self) -> bool:
        """See `Source`."""
        return self._crew.ready

    async def report(self) -> Report:
        """See `Source`. Of a worker that does not answer it has what that said last."""
        children = self._crew.children
        await asyncio.gather(*map(self._count, children), *map(hear_authored, children))
        # Asked again after the wait: one that has ended meanwhile is in `settled` now.
        workers: dict[int, Figures] = {}
        for child in self._crew.children:
            before = workers.get(child.number, Figures())
            workers[child.number] = together([before, child.figures])
        return Report(workers, self._crew.departures.settled, self._crew.deaths, self._authored())

    async def workers(self) -> dict[str, Any]:
        """See `Source`. Of a worker that does not answer it has what that said last."""
        children = self._crew.children
        answered = dict(
            zip(children, await asyncio.gather(*map(self._count, children)), strict=True)
        )
        serving = [place.child for place in self._crew.places]
        workers = [
            described(
                child.number,
                child.pid,
                child.served(),
                child.figures,
                answers=answered.get(child, True),
                leaving=child not in serving,
            )
            for child in self._crew.children
        ]
        uptime = time.monotonic() - self._began
        return overview(uptime, self._crew.departures.settled, self._crew.deaths, workers)

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

    async def kick(self, worker: int, number: int, pid: int | None = None) -> bool:
        """See `Source`."""
        asked = [
            child
            for child in self._crew.children
            if child.number == worker and pid in (None, child.pid)
        ]
        return any(await asyncio.gather(*(child.ask("kick", id=number) for child in asked)))

    def _authored(self) -> dict[str, Family]:
        # The newest code's first: what a metric is, that decides.
        serving = {place.child for place in self._crew.places}
        live = {
            str(child.number) if child in serving else f"{child.number}/{child.pid}": child.authored
            for child in self._crew.children
        }
        return self._merging(live, self._crew.departures.authored)

    async def _all(self, what: str) -> list[dict[str, Any]]:
        children = self._crew.children
        answers = await asyncio.gather(*(child.ask(what) for child in children))
        return [
            {"worker": child.number, "pid": child.pid, **each}
            for child, answer in zip(children, answers, strict=True)
            for each in answer or ()
        ]

    async def _count(self, child: Child) -> bool:
        """Whether it answered."""
        if (told := await child.ask("figures")) is None:
            return False
        before, child.figures = child.figures, Figures.of(told).at_least(child.figures)
        if "lag" in before.gauges:  # only a beat tells it
            child.figures.gauges["lag"] = before.gauges["lag"]
        return True


async def hear_authored(child: Child) -> None:
    """Ask one worker what its author counts."""
    if (told := await child.ask("authored")) is not None:
        child.authored = Families.of(told).at_least(child.authored)
