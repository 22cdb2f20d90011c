"""What is aimed at under TLS, and whether the rows bear it out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.compare import Spread
from benchmarks.table import ratio
from benchmarks.tls_contenders import BEST, SHAKES
from benchmarks.tls_rows import KIB, MemoryRow, Row, kib
from benchmarks.verdict import standing

BULK = frozenset({"upload", "download"})
PEERS = ("Node", "nginx", "stunnel")


@dataclass(frozen=True)
class Aim:
    """A bound on the ratio of rates or of CPU to each of `others`, for what netkit serves.

    `terminators`: whether it is for ``serve tls --to`` as well, beside other terminators.
    """

    text: str
    modes: frozenset[str]
    others: tuple[str, ...]
    figure: str = "rate"
    at_least: float | None = None
    at_most: float | None = None
    terminators: bool = False

    def judged(self, rows: Sequence[Row]) -> str:
        """One line: in how many rows it is kept, and which say otherwise."""
        found: dict[str, list[str]] = {"kept": [], "undecided": [], "missed": []}
        for mine, other in self.pairs(rows):
            if compared := mine.beside(other):
                spread: Spread = getattr(compared, self.figure)
                stands = standing(spread, at_least=self.at_least, at_most=self.at_most)
                beside = f" beside {other.contender.name}" if len(self.others) > 1 else ""
                line = f"{mine.work.name}, {mine.contender.name}{beside} {ratio(spread)}"
                found[stands].append(line)
        return sentence(self.text, found)

    def pairs(self, rows: Sequence[Row]) -> Iterator[tuple[Row, Row]]:
        """Rows of netkit's that this is about, each with those of others beside it."""
        for mine in rows:
            for other in rows:
                if (
                    mine.contender.ours
                    and mine.work.load.mode in self.modes
                    and other.work == mine.work
                    and other.contender.name in self.others
                    and self.fair(mine, other)
                ):
                    yield mine, other

    def fair(self, mine: Row, other: Row) -> bool:
        """A terminator passes everything on once more: it stands beside its like alone."""
        if not mine.contender.terminator:
            return True
        return self.terminators and other.contender.terminator


AIMS = [
    Aim("1 KiB echo at least 0.60 of C", frozenset({"echo"}), (BEST,), at_least=0.6),
    Aim("bulk at least 0.80 of C", BULK, (BEST,), at_least=0.8),
    Aim("CPU of a handshake at most 1.25 of C's", SHAKES, (BEST,), "cpu", at_most=1.25),
    Aim(
        "echo and bulk ahead of Node, nginx and stunnel (at least 1.00)",
        BULK | {"echo"},
        PEERS,
        at_least=1.0,
        terminators=True,
    ),
    Aim(
        "a handshake takes less CPU than with Node, nginx and stunnel (at most 1.00)",
        SHAKES,
        PEERS,
        "cpu",
        at_most=1.0,
        terminators=True,
    ),
]
MOST_KIB = {"idle": 64, "half": 96}
"""What a connection of a kind may cost."""


def verdict(rows: Sequence[Row], memory: Sequence[MemoryRow]) -> str:
    """The aims, one line each, judged by median and quartiles; those without a row are left out."""
    lines = [aim.judged(rows) for aim in AIMS if any(aim.pairs(rows))]
    for mode, most in MOST_KIB.items():
        found: dict[str, list[str]] = {"kept": [], "undecided": [], "missed": []}
        for row in memory:
            if row.contender.ours and row.work.load.mode == mode:
                spread = Spread.of(row.each)
                line = f"{row.work.name}, {row.contender.name} {kib(spread)}"
                found[standing(spread, at_most=most * KIB)].append(line)
        if any(found.values()):
            what = {"idle": "an idle connection", "half": "a half-open handshake"}[mode]
            lines.append(sentence(f"{what} at most {most} KiB", found))
    return "\n".join(lines)


def sentence(text: str, found: dict[str, list[str]]) -> str:
    """A line of the verdict."""
    parts = [f"kept in {len(found['kept'])} rows"]
    for stands in ("undecided", "missed"):
        if found[stands]:
            parts.append(f"{stands} in {len(found[stands])}: {', '.join(found[stands])}")
    return f"- {text}: {'; '.join(parts)}"
