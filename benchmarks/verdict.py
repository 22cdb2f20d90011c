"""What netkit promises about its own cost, and whether the rows bear it out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.compare import Comparison, Spread
from benchmarks.rows import Row
from benchmarks.table import ratio

CONNECT = "connect, 64 B, close"


@dataclass(frozen=True)
class Promise:
    """A bound on the median ratio of every row that it is about."""

    text: str
    about: Callable[[Row], bool]
    figure: Callable[[Comparison], Spread]
    at_least: float | None = None
    at_most: float | None = None

    def standing(self, spread: Spread) -> str:
        """`kept` or `missed` if the quartiles agree with the median; `undecided` otherwise."""
        kept = {self.allows(value) for value in (spread.low, spread.middle, spread.high)}
        return "undecided" if len(kept) > 1 else "kept" if kept == {True} else "missed"

    def allows(self, value: float) -> bool:
        """Whether a ratio is within the bound."""
        low_enough = self.at_most is None or value <= self.at_most
        return low_enough and (self.at_least is None or value >= self.at_least)

    def judged(self, rows: Sequence[Row]) -> str:
        """One line: in how many rows it is kept, and which rows say otherwise."""
        found: dict[str, list[str]] = {"kept": [], "undecided": [], "missed": []}
        for row in rows:
            if self.about(row) and (compared := row.comparison):
                spread = self.figure(compared)
                line = f"{row.work} {row.name} {ratio(spread)}"
                found[self.standing(spread)].append(line)
        parts = [f"kept in {len(found['kept'])} rows"]
        for standing in ("undecided", "missed"):
            if found[standing]:
                parts.append(f"{standing} in {len(found[standing])}: {', '.join(found[standing])}")
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
