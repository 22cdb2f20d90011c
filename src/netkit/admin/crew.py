"""The source that asks all workers of a supervisor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import chain
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
        """See `Source`. The supervisor's own are not among them.

        Of a worker that does not answer it has the stack of its loop's thread.
        """
        return await self._all("tasks", instead=held_up)

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

    async def _all(
        self, what: str, instead: Callable[[Child], Awaitable[list[dict[str, Any]]]] | None = None
    ) -> list[dict[str, Any]]:
        async def of(child: Child) -> list[dict[str, Any]]:
            answer = await child.ask(what)
            if answer is None:
                answer = await instead(child) if instead else []
            return [{"worker": child.number, "pid": child.pid, **each} for each in answer]

        return list(chain.from_iterable(await asyncio.gather(*map(of, self._crew.children))))

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


async def held_up(child: Child) -> list[dict[str, Any]]:
    """What a worker does that does not answer, as if it were a task; none if that cannot be had."""
    stack = await child.doing()
    return [] if stack is None else [{"task": "(the loop is held up)", "stack": stack}]
