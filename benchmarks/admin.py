"""What ``--admin`` costs: ``python -m benchmarks.admin``.

The same netkit server without ``--admin`` and with it, by turns; the one with it is asked
for its metrics once a second all the while. And what one such scrape costs the server,
measured by itself, since a share of some per mille drowns in a machine's noise.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import ceil, floor, nan
from pathlib import Path
from statistics import NormalDist, median
from urllib.request import urlopen

from benchmarks.command import Asked, Found, run
from benchmarks.compare import Comparison, Spread, by_turns, typical
from benchmarks.contenders import listening, netkit
from benchmarks.crew import cpu
from benchmarks.load import Length, Workload, holding
from benchmarks.process import BenchmarkError, Server, running, said
from benchmarks.table import markdown, number, progress, ratio

ON = ("--admin", "127.0.0.1:0")
ADMIN = re.compile(r"admin on \S*?(127\.0\.0\.1:\d+)")
WORKS = {"64 B over 100": Workload(100, 64), "1 KiB over 100": Workload(100, 1024)}
TARGETS: dict[str, list[str | Path]] = {
    "protocol": ["echo", "--api", "protocol"],
    "streams": ["echo", "--api", "streams"],
}
SCRAPES = 50
HEADER = [
    "workload",
    "server",
    "without",
    "with",
    "with ÷ without",
    "median within",
    "CPU µs without",
    "CPU µs with",
    "CPU with ÷ without",
    "median within",
    "a scrape, ms CPU",
]


@dataclass(frozen=True)
class Row:
    """One workload on one server; `scrape` is seconds of CPU for a scrape."""

    work: str
    name: str
    compared: Comparison
    scrape: float

    def cells(self) -> list[str]:
        """The row as text."""
        without, with_admin = self.compared.plain, self.compared.netkit
        rates = [n.rate / p.rate for p, n in self.compared.turns()]
        costs = [n.cpu_us / p.cpu_us for p, n in self.compared.turns() if p.server_cpu]
        return [
            self.work,
            self.name,
            *[number(typical(each, "rate")) for each in (without, with_admin)],
            ratio(self.compared.rate),
            interval(rates),
            *[number(typical(each, "cpu_us")) for each in (without, with_admin)],
            ratio(self.compared.cpu),
            interval(costs),
            f"{self.scrape * 1e3:.2f}",
        ]


def interval(values: list[float]) -> str:
    """Where the true median lies with a confidence of 95 %, by the ranks of the values."""
    if len(values) < 6:
        return ""
    half = NormalDist().inv_cdf(0.975) * len(values) ** 0.5 / 2
    ranked = sorted(values)
    low, high = floor(len(values) / 2 - half) - 1, ceil(len(values) / 2 + half)
    return f"{ranked[max(0, low)]:.3f}-{ranked[min(high, len(values) - 1)]:.3f}"


def measured(asked: Asked) -> Found:
    """Both APIs, both loops, 64 B and 1 KiB over 100 connections."""
    length = Length(0.1 if asked.quick else 0.3, warmup=0.05)
    rows: list[Row] = []
    for api, target in TARGETS.items():
        for loop in asked.loops:
            name = f"{api}, {loop}"
            works = {
                label: work for label, work in WORKS.items() if asked.wants(f"{label}, {name}")
            }
            if works:
                command = netkit(*target, *listening("tcp", loop))
                rows.extend(pair_rows(name, command, works, asked.rounds, length))
    if not rows:
        raise BenchmarkError("--only leaves no row")
    return Found(text(rows), [asdict(row) for row in rows])


def pair_rows(
    name: str,
    command: list[str | Path],
    works: dict[str, Workload],
    rounds: int,
    length: Length,
) -> Iterator[Row]:
    """One server without and with ``--admin``, both alive all the while."""
    with (
        running(f"without {name}", command) as without,
        running(f"with {name}", [*command, *ON]) as with_admin,
    ):
        url = f"http://{said(with_admin.log, ADMIN)}/metrics"
        for label, work in works.items():
            progress(f"{name}: {label}")
            with scraping(url):
                turns = by_turns(without, with_admin, work, rounds, length)
            yield Row(label, name, turns, scrape_cost(with_admin, url, work.connections))


def text(rows: list[Row]) -> str:
    """The table, and all rows together."""
    every = [
        (n.rate / p.rate, n.cpu_us / p.cpu_us if p.server_cpu else nan)
        for row in rows
        for p, n in row.compared.turns()
    ]
    rates, costs = [rate for rate, _ in every], [cost for _, cost in every if cost == cost]
    together = (
        f"All {len(every)} turns together: rate {ratio(Spread.of(rates))}, median within "
        f"{interval(rates)}; CPU {ratio(Spread.of(costs or [nan]))}, median within "
        f"{interval(costs)}. A scrape a second is {median(row.scrape for row in rows):.2%} "
        "of a core."
    )
    return "\n\n".join([markdown(HEADER, [row.cells() for row in rows]), together])


@contextmanager
def scraping(url: str) -> Iterator[None]:
    """Ask for the metrics once a second until the block ends."""
    over = threading.Event()

    def ask() -> None:
        while not over.wait(1):
            scrape(url)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def scrape(url: str) -> None:
    """One scrape, read to its end."""
    with urlopen(url, timeout=30) as answer:
        answer.read()


def scrape_cost(server: Server, url: str, connections: int) -> float:
    """Seconds of CPU for one scrape of a server with so many quiet connections."""
    with holding(server, connections):
        scrape(url)
        before = cpu(server.pids)
        for _ in range(SCRAPES):
            scrape(url)
        return (cpu(server.pids) - before) / SCRAPES


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    return run("admin", "The cost of --admin.", measured, rounds=41, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
