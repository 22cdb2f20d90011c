"""Measure two live servers by turns, and keep the ratio of each turn.

What a message costs in the network moves by 15 % within minutes on a shared
machine. Two windows taken side by side share that cost, so their ratio is steady
where the two rates are not; which of the two goes first alternates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import nan
from statistics import median, quantiles

from benchmarks.load import Length, Window, Workload, holding, measure
from benchmarks.process import Server

# Enough to bring in what a server imports or allocates with its first connection.
FIRST_CONNECTIONS = 8


@dataclass(frozen=True)
class Spread:
    """A median with its quartiles."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of `values`; of a single value, that value three times."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, _, high = quantiles(values, n=4, method="inclusive")
        return cls(low, median(values), high)


@dataclass(frozen=True)
class Comparison:
    """Windows on the plain server and on netkit's, taken by turns."""

    plain: list[Window]
    netkit: list[Window]

    @property
    def rate(self) -> Spread:
        """Netkit's rate over the plain rate; more than 1 is faster."""
        return Spread.of([n.rate / p.rate for p, n in self.turns()])

    @property
    def cpu(self) -> Spread:
        """Netkit's CPU for each message over the plain server's; less than 1 is cheaper.

        The kernel books CPU by its tick: a turn too short for one is left out.
        """
        ratios = [n.cpu_us / p.cpu_us for p, n in self.turns() if p.server_cpu]
        return Spread.of(ratios or [nan])

    def turns(self) -> Iterator[tuple[Window, Window]]:
        """The two windows of each turn."""
        return zip(self.plain, self.netkit, strict=True)


def by_turns(
    plain: Server, netkit: Server, work: Workload, rounds: int, length: Length
) -> Comparison:
    """Measure A B, B A, A B … until each server has had `rounds` windows."""
    found: dict[Server, list[Window]] = {plain: [], netkit: []}
    order = [plain, netkit]
    for _ in range(rounds):
        for server in order:
            found[server].append(measure(server, work, length))
        order.reverse()
    return Comparison(found[plain], found[netkit])


def memory_each(server: Server, connections: int) -> float:
    """Bytes by which the server grows for each idle connection; ask it of a fresh server."""
    with holding(server, FIRST_CONNECTIONS):
        before = server.memory()
        with holding(server, connections):
            return (server.memory() - before) / connections


def typical(windows: Sequence[Window], figure: str) -> float:
    """The median of a figure (`rate`, `cpu_us`, `p99_us`) over windows."""
    return median(float(getattr(window, figure)) for window in windows)
