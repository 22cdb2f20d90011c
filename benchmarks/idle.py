"""Memory for each of 10,000 idle connections over two workers: ``python -m benchmarks.idle``.

Beside netkit's two workers stand the plain servers, which are one process each. Every
connection has echoed one message and then keeps silent. A fresh server each time.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.command import Asked, Found, run
from benchmarks.compare import FIRST_CONNECTIONS
from benchmarks.contenders import Pair, pair
from benchmarks.crew import crewed
from benchmarks.load import holding
from benchmarks.process import Server, memory, running
from benchmarks.table import markdown, progress

HEADER = [
    "server",
    "processes",
    "KiB for a connection (PSS)",
    "its own (USS)",
    "of that supervisor",
    "MiB before (PSS)",
    "MiB with all (PSS)",
]
KIB, MIB = 1024, 1024 * 1024


@dataclass(frozen=True)
class Held:
    """Bytes of a server before and with its idle connections; `first` is its first process's."""

    connections: int
    processes: int
    before: int
    after: int
    own_before: int
    own_after: int
    first_before: int
    first_after: int

    @property
    def each(self) -> float:
        """Bytes (PSS) for each connection, of all processes."""
        return (self.after - self.before) / self.connections

    @property
    def own_each(self) -> float:
        """Bytes for each connection that no other process has a part in (USS)."""
        return (self.own_after - self.own_before) / self.connections

    @property
    def first_each(self) -> float:
        """Bytes (PSS) for each connection, of the first process: a supervisor's."""
        return (self.first_after - self.first_before) / self.connections


@dataclass(frozen=True)
class Row:
    """One server, started afresh for each figure."""

    name: str
    found: list[Held] = field(default_factory=list)

    def cells(self) -> list[str]:
        """The row as text: medians."""
        alone = self.found[0].processes == 1
        return [
            self.name,
            "1" if alone else f"1 + {self.found[0].processes - 1}",
            self.middle("each", KIB),
            self.middle("own_each", KIB),
            "" if alone else self.middle("first_each", KIB),
            self.middle("before", MIB),
            self.middle("after", MIB),
        ]

    def middle(self, figure: str, unit: int) -> str:
        """The median of a figure in `unit`."""
        return f"{median(getattr(each, figure) for each in self.found) / unit:.2f}"


def measured(asked: Asked) -> Found:
    """Plain servers and two workers, both APIs, both loops."""
    connections = 200 if asked.quick else 10_000
    rows = []
    for api in ("protocol", "streams"):
        for loop in asked.loops:
            twins = pair(api, loop)
            two = f"netkit, two workers: {twins.name}"
            for name, open_server in (
                (f"plain: {twins.name}", partial(running, twins.name, twins.plain)),
                (two, partial(two_workers, twins)),
            ):
                if asked.wants(name):
                    progress(name)
                    row = Row(name)
                    for _ in range(asked.rounds):
                        with open_server() as server:
                            row.found.append(held(server, connections))
                    rows.append(row)
    text = markdown(HEADER, [row.cells() for row in rows])
    return Found(f"{connections:,} connections.\n\n{text}", [asdict(row) for row in rows])


@contextmanager
def two_workers(twins: Pair) -> Iterator[Server]:
    """Netkit's server of a pair, with two workers."""
    with crewed(f"two {twins.name}", [*twins.netkit, "--workers", "2"]) as crew:
        yield crew


def held(server: Server, connections: int) -> Held:
    """What a fresh server grows by."""
    with holding(server, FIRST_CONNECTIONS * len(server.pids)):
        before, own, first = server.memory(), private(server), memory(server.pid)
        with holding(server, connections):
            return Held(
                connections=connections,
                processes=len(server.pids),
                before=before,
                after=server.memory(),
                own_before=own,
                own_after=private(server),
                first_before=first,
                first_after=memory(server.pid),
            )


def private(server: Server) -> int:
    """Bytes that only one process of the server has in memory (USS)."""
    total = 0
    for pid in server.pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(("Private_Clean:", "Private_Dirty:")):
                total += int(line.split()[1]) * KIB
    return total


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    return run("idle", "Memory of idle connections.", measured, rounds=3, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
