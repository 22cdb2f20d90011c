"""What a server has counted, as plain numbers that can be sent, added and compared.

Counters only grow; gauges are as they are now. A counter's name may have a label
behind a colon: ``refused:per-address``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from netkit.connections import Connection, Connections

BOUNDS = (0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0)
"""Upper bounds of the histogram of durations, in seconds; above them all is +Inf."""


@dataclass
class Figures:
    """The counters and gauges of one process, or of several together."""

    counters: Counter[str] = field(default_factory=Counter)
    gauges: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, told: dict[str, Any]) -> Self:
        """What `told` has made of it, read back."""
        return cls(Counter(told["counters"]), dict(told["gauges"]))

    def told(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {"counters": dict(self.counters), "gauges": self.gauges}

    def at_least(self, earlier: Figures) -> Figures:
        """These, with no counter below what it was before."""
        return Figures(self.counters | earlier.counters, self.gauges)


def together(parts: Iterable[Figures]) -> Figures:
    """The sum of several processes' figures."""
    total = Figures()
    for part in parts:
        total.counters.update(part.counters)
        for name, value in part.gauges.items():
            total.gauges[name] = total.gauges.get(name, 0) + value
    return total


class Tally:
    """Counts the connections of one server that have ended; call it at each end."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._durations = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0

    def __call__(self, connection: Connection, error: BaseException | None) -> None:
        """Count one; the sweep's and the log's figures are not touched."""
        seconds = connection.connections.now() - connection.began
        self._durations[bisect_left(BOUNDS, seconds)] += 1
        self._seconds += seconds
        if (traffic := connection.traffic()) is not None:
            self._counts["received"] += traffic.received
            self._counts["sent"] += traffic.sent or 0

    def figures(self, connections: Connections, *, open_too: bool) -> Figures:
        """All figures of the server now.

        `open_too` adds the bytes of the connections that are open, which takes 2 µs
        for each.
        """
        figures = of_connections(connections)
        counters = figures.counters
        counters.update(self._counts)
        for bound, count in zip((*BOUNDS, "+Inf"), self._durations, strict=True):
            counters[f"ended:{bound}"] = count
        counters["seconds"] = self._seconds  # type: ignore[assignment]  # a Counter adds floats too
        if open_too:
            for connection in connections.open.values():
                if (traffic := connection.traffic()) is not None:
                    counters["received"] += traffic.received
                    counters["sent"] += traffic.sent or 0
        return figures


def of_connections(connections: Connections) -> Figures:
    """What a server counts in any case."""
    counters: Counter[str] = Counter(accepted=connections.accepted)
    for reason, count in connections.refused.items():
        counters[f"refused:{reason}"] = count
    for reason, count in connections.gate.pauses.items():
        counters[f"pauses:{reason}"] = count
    for reason, count in connections.handshake_failures.items():
        counters[f"handshake-failures:{reason}"] = count
    gauges = {"open": len(connections.open), "waiting": len(connections.waiting)}
    return Figures(counters, dict(gauges))
