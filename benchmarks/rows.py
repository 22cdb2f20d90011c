"""What was measured, one row for each workload and contender, and the table made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from benchmarks.compare import Comparison, Spread, typical
from benchmarks.load import Window
from benchmarks.table import markdown, number, ratio

HEADER = [
    "workload",
    "server",
    "plain",
    "netkit",
    "netkit ÷ plain",
    "CPU µs plain",
    "CPU µs netkit",
    "CPU netkit ÷ plain",
    "p99 µs plain",
    "p99 µs netkit",
    "plain ÷ C",
    "netkit ÷ C",
]


@dataclass(frozen=True)
class Row:
    """One line of the table; `plain` and `netkit` are messages or connections a second.

    A yardstick has no netkit beside it: its windows stand under `plain`.
    """

    work: str
    name: str
    plain: list[Window]
    netkit: list[Window] = field(default_factory=list)

    @property
    def comparison(self) -> Comparison | None:
        """The windows by turns, or None for a yardstick."""
        return Comparison(self.plain, self.netkit) if self.netkit else None

    def cells(self, c_rate: float | None) -> list[str]:
        """The row as text; `c_rate` is what the C server did under the same workload."""
        compared = self.comparison
        return [
            self.work,
            self.name,
            *both(self, "rate"),
            ratio(compared.rate) if compared else "",
            *both(self, "cpu_us"),
            ratio(compared.cpu) if compared else "",
            *both(self, "p99_us"),
            *both(self, "rate", c_rate),
        ]


@dataclass(frozen=True)
class MemoryRow:
    """Memory for each idle connection, in bytes, one figure for each fresh server."""

    work: str
    name: str
    plain: list[float]
    netkit: list[float] = field(default_factory=list)

    def cells(self, c_rate: float | None) -> list[str]:
        """The row as text, in KiB."""
        spreads = [Spread.of(figures) for figures in (self.plain, self.netkit) if figures]
        texts = [f"{spread.middle / 1024:.1f} KiB" for spread in spreads]
        between = ""
        if self.netkit:
            turns = zip(self.plain, self.netkit, strict=True)
            between = ratio(Spread.of([netkit / plain for plain, netkit in turns]))
        return [self.work, self.name, *texts, *[""] * (2 - len(texts)), between, *[""] * 7]


def both(row: Row, figure: str, unit: float | None = 1) -> list[str]:
    """A figure of the plain server and of netkit's, in `unit`; empty where there is none."""
    if not unit:
        return ["", ""]
    return [
        number(typical(windows, figure) / unit) if windows else ""
        for windows in (row.plain, row.netkit)
    ]


def table(rows: Sequence[Row | MemoryRow]) -> str:
    """All rows, those of one workload together, in the order in which they first came."""
    works = list(dict.fromkeys(row.work for row in rows))
    ordered = sorted(rows, key=lambda row: works.index(row.work))
    c_rates = {
        row.work: typical(row.plain, "rate")
        for row in rows
        if isinstance(row, Row) and row.name == "C epoll"
    }
    return markdown(HEADER, [row.cells(c_rates.get(row.work)) for row in ordered])


def record(rows: Sequence[Row | MemoryRow]) -> list[dict[str, object]]:
    """Every window behind the table, for those who want to compute something else."""
    return [asdict(row) for row in rows]
