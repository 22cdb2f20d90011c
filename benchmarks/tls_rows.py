"""What was measured of TLS servers, and its tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.compare import Comparison, Spread
from benchmarks.load import Workload
from benchmarks.table import markdown, number, ratio
from benchmarks.tls_contenders import BEST, Contender
from benchmarks.tls_load import Secured

KIB = 1024


@dataclass(frozen=True)
class Work:
    """A kind of load; `unit` is what its rate counts, `scale` how many of it a message is."""

    name: str
    load: Workload
    unit: str
    scale: float = 1


@dataclass(frozen=True)
class Row:
    """One server under one work; each round adds a window."""

    work: Work
    contender: Contender
    windows: list[Secured] = field(default_factory=list)

    @property
    def comparable(self) -> bool:
        """Whether it did what was asked: a server that resumes nothing shakes hands in full."""
        wanted = self.work.load.mode == "resume"
        return all(each.resumed == (each.messages if wanted else 0) for each in self.windows)

    def beside(self, other: Row) -> Comparison | None:
        """This server over another, round by round; None if the two cannot be compared."""
        if not (self.comparable and other.comparable and self.windows):
            return None
        return Comparison([*other.windows], [*self.windows])


@dataclass(frozen=True)
class MemoryRow:
    """Bytes for each connection of a kind that one server holds; a fresh server each round."""

    work: Work
    contender: Contender
    each: list[float] = field(default_factory=list)


def tables(rows: Sequence[Row], memory: Sequence[MemoryRow]) -> str:
    """A table for each work, and one for memory."""
    works = list(dict.fromkeys(row.work for row in rows))
    found = [table(work, [row for row in rows if row.work == work]) for work in works]
    return "\n\n".join([*found, *([memory_table(memory)] if memory else [])])


def table(work: Work, rows: Sequence[Row]) -> str:
    """All servers under one work."""
    header = ["work", "server", work.unit, "÷ C", "CPU µs each", "CPU ÷ C", "of its core"]
    timed = any(each.p99_us for row in rows for each in row.windows)
    if timed:
        header.append("p99 ms")
    best = next((row for row in rows if row.contender.name == BEST), None)
    lines = []
    for row in rows:
        compared = row.beside(best) if best and row is not best else None
        cells = [
            work.name + ("" if row.comparable else " (not resumed)"),
            row.contender.name,
            number(median(each.rate for each in row.windows) * work.scale),
            ratio(compared.rate) if compared else "",
            number(median(each.cpu_us for each in row.windows)),
            ratio(compared.cpu) if compared else "",
            f"{median(each.core for each in row.windows):.2f}",
        ]
        if timed:
            cells.append(number(median(each.p99_us for each in row.windows) / 1000))
        lines.append(cells)
    return markdown(header, lines)


def memory_table(rows: Sequence[MemoryRow]) -> str:
    """All servers, a column for each kind of connection."""
    works = list(dict.fromkeys(row.work for row in rows))
    found = {(row.contender.name, row.work): row for row in rows}
    names = dict.fromkeys(row.contender.name for row in rows)
    lines = []
    for name in names:
        cells = ["KiB for a connection", name]
        for work in works:
            row = found.get((name, work))
            cells.append(kib(Spread.of(row.each)) if row else "")
        lines.append(cells)
    return markdown(["memory", "server", *[work.name for work in works]], lines)


def kib(spread: Spread) -> str:
    """Bytes with their quartiles, in KiB."""
    low, middle, high = (each / KIB for each in (spread.low, spread.middle, spread.high))
    return f"{middle:.1f} ({low:.1f}-{high:.1f})"
