"""What the admin endpoint asks, whoever answers: one server here, or a crew of workers."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from netkit.observability.authored import Authored
from netkit.observability.families import Families, Family
from netkit.observability.figures import Figures, Tally
from netkit.observability.listing import listing
from netkit.observability.merging import Merging
from netkit.observability.tasks import tasks
from netkit.observability.vitals import lag, vitals
from netkit.server import Server
from netkit.version import __version__


@dataclass(frozen=True)
class Report:
    """The figures of all processes, each by the number of its worker (0: there are none)."""

    workers: dict[int, Figures]
    settled: Figures
    """What workers that have ended had counted."""
    restarts: int = 0
    """Workers that ended without being told."""
    authored: dict[str, Family] = field(default_factory=dict)
    """What the server's author counts, of all processes together."""


class Source(Protocol):
    """Answers for one process or for several."""

    def ready(self) -> bool:
        """Whether it accepts connections; False while it starts or drains."""

    async def report(self) -> Report:
        """All figures now."""

    async def workers(self) -> dict[str, Any]:
        """What runs, and for how long; and each worker by itself."""

    async def connections(self) -> list[dict[str, Any]]:
        """Every open connection, with the number of its worker."""

    async def tasks(self) -> list[dict[str, Any]]:
        """Every asyncio task and where it waits, with the number of its worker."""

    async def kick(self, worker: int, number: int, pid: int | None = None) -> bool:
        """Cut a connection; False if there is none of that number.

        While a worker is replaced, two have its number: `pid` says which of them.
        """

    async def scale(self, count: int) -> bool:
        """Have so many workers; False where there are none."""


class Alone:
    """Answers for a server in this process."""

    def __init__(self, server: Server, tally: Tally) -> None:
        self._server = server
        self._tally = tally
        self._authored = Authored(server.service)
        self._merging = Merging()
        self._began = time.monotonic()

    def ready(self) -> bool:
        """See `Source`."""
        return self._server.accepting

    async def report(self) -> Report:
        """See `Source`."""
        counted = await self._counted()
        live = {str(number): self._authored.families() for number in counted.workers}
        return replace(counted, authored=self._merging(live, Families()))

    async def _counted(self) -> Report:
        late = await lag()
        if not self._server.started:
            return Report({}, Figures())
        figures = self._tally.figures(self._server.connections, open_too=True)
        figures.gauges.update(vitals(), lag=late)
        return Report({0: figures}, Figures())

    async def workers(self) -> dict[str, Any]:
        """See `Source`."""
        report = await self._counted()
        uptime = time.monotonic() - self._began
        workers = [
            described(0, os.getpid(), uptime, figures) for figures in report.workers.values()
        ]
        return overview(uptime, report.settled, report.restarts, workers)

    async def connections(self) -> list[dict[str, Any]]:
        """See `Source`."""
        if not self._server.started:
            return []
        return [{"worker": 0, **each} for each in listing(self._server.connections)]

    async def tasks(self) -> list[dict[str, Any]]:
        """See `Source`."""
        return [{"worker": 0, **each} for each in tasks()]

    async def scale(self, count: int) -> bool:
        """See `Source`."""
        return False

    async def kick(self, worker: int, number: int, pid: int | None = None) -> bool:
        """See `Source`."""
        if pid not in (None, os.getpid()):
            return False
        return not worker and self._server.started and self._server.cut(number)


def overview(
    uptime: float, settled: Figures, restarts: int, workers: list[dict[str, Any]]
) -> dict[str, Any]:
    """What ``/workers`` says: seconds of the whole server, and what its parts count."""
    return {
        "version": __version__,
        "pid": os.getpid(),
        "uptime": round(uptime, 3),
        "restarts": restarts,
        "settled": dict(settled.counters),
        "workers": workers,
    }


def described(
    number: int,
    pid: int,
    age: float,
    figures: Figures,
    *,
    answers: bool = True,
    leaving: bool = False,
) -> dict[str, Any]:
    """One worker; `age` in seconds. One that does not answer has what it said last."""
    return {
        "worker": number,
        "pid": pid,
        "age": round(age, 3),
        "answers": answers,
        "leaving": leaving,
        **figures.told(),
    }
