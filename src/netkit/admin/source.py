"""What the admin endpoint asks, whoever answers: one server here, or a crew of workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from netkit.observability.figures import Figures, Tally
from netkit.observability.listing import listing
from netkit.observability.tasks import tasks
from netkit.server import Server


@dataclass(frozen=True)
class Report:
    """The figures of all processes, each by the number of its worker (0: there are none)."""

    workers: dict[int, Figures]
    settled: Figures
    """What workers that have ended had counted."""
    restarts: int = 0
    """Workers that ended without being told."""


class Source(Protocol):
    """Answers for one process or for several."""

    def ready(self) -> bool:
        """Whether it accepts connections; False while it starts or drains."""

    async def report(self) -> Report:
        """All figures now."""

    async def connections(self) -> list[dict[str, Any]]:
        """Every open connection, with the number of its worker."""

    async def tasks(self) -> list[dict[str, Any]]:
        """Every asyncio task and where it waits, with the number of its worker."""

    async def kick(self, worker: int, number: int) -> bool:
        """Cut a connection; False if there is none of that number."""

    async def scale(self, count: int) -> bool:
        """Have so many workers; False where there are none."""


class Alone:
    """Answers for a server in this process."""

    def __init__(self, server: Server, tally: Tally) -> None:
        self._server = server
        self._tally = tally

    def ready(self) -> bool:
        """See `Source`."""
        return self._server.accepting

    async def report(self) -> Report:
        """See `Source`."""
        if not self._server.started:
            return Report({}, Figures())
        figures = self._tally.figures(self._server.connections, open_too=True)
        return Report({0: figures}, Figures())

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

    async def kick(self, worker: int, number: int) -> bool:
        """See `Source`."""
        return not worker and self._server.started and self._server.cut(number)
