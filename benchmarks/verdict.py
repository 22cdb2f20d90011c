"""What netkit promises about its own cost, and whether the rows bear it out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.compare import Comparison, Spread
from benchmarks.rows import Row
from benchmarks.table import ratio

CONNECT = "connect, 64 B, close"


def standing(spread: Spread, *, at_least: float | None = None, at_most: float | None = None) -> str:
    """`kept` or `missed` if the quartiles agree with the median; `undecided` otherwise."""

    def allows(value: float) -> bool:
        low_enough = at_most is None or value <= at_most
        return low_enough and (at_least is None or value >= at_least)

    kept = {allows(value) for value in (spread.low, spread.middle, spread.high)}
    return "undecided" if len(kept) > 1 else "kept" if kept == {True} else "missed"


@dataclass(frozen=True)
class Promise:
    """A bound on the median ratio of every row that it is about."""

    text: str
    about: Callable[[Row], bool]
    figure: Callable[[Comparison], Spread]
    at_least: float | None = None
    at_most: float | None = None

    def judged(self, rows: Sequence[Row]) -> str:
        """One line: in how many rows it is kept, and which rows say otherwise."""
        found: dict[str, list[str]] = {"kept": [], "undecided": [], "missed": []}
        for row in rows:
            if self.about(row) and (compared := row.comparison):
                spread = self.figure(compared)
                line = f"{row.work} {row.name} {ratio(spread)}"
                stands = standing(spread, at_least=self.at_least, at_most=self.at_most)
                found[stands].append(line)
        parts = [f"kept in {len(found['kept'])} rows"]
        for stands in ("undecided", "missed"):
            if found[stands]:
                parts.append(f"{stands} in {len(found[stands])}: {', '.join(found[stands])}")
        return f"- {self.text}: {'; '.join(parts)}"


PROMISES = [
    Promise(
        "`netkit serve echo` at least 0.95 of the plain uvloop Protocol",
        lambda row: row.name == "protocol, uvloop" and row.work != CONNECT,
        lambda compared: compared.rate,
        at_least=0.95,
    ),
    Promise(
        "a stream handler never behind itself on the plain loop (at least 1.00)",
        lambda row: row.name.startswith("streams") and row.work != CONNECT,
        lambda compared: compared.rate,
        at_least=1.0,
    ),
    Promise(
        "CPU for each accepted connection at most 1.30 of the plain server's",
        lambda row: row.work == CONNECT,
        lambda compared: compared.cpu,
        at_most=1.3,
    ),
]


def verdict(rows: Sequence[object]) -> str:
    """The promises, one line each, judged by median and quartiles."""
    windows = [row for row in rows if isinstance(row, Row)]
    return "\n".join(promise.judged(windows) for promise in PROMISES)
