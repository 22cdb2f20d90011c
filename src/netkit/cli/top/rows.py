"""Which rows of a table are shown: those that hold a text, in an order, the first few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from netkit.cli.top.columns import Column
from netkit.cli.top.rates import Row

SEARCHED = ("id", "peer", "listener", "tls", "says")


@dataclass(frozen=True)
class Order:
    """By which column rows are sorted, and which way."""

    column: Column
    upwards: bool

    @classmethod
    def by(cls, column: Column) -> Order:
        """As one would look for something in it: texts from A, figures from the largest."""
        return cls(column, upwards=column.is_text)

    def turned(self) -> Order:
        """The other way."""
        return Order(self.column, not self.upwards)

    def __str__(self) -> str:
        return f"{self.column.head} {'▲' if self.upwards else '▼'}"


def ordered(rows: Sequence[Row], order: Order) -> list[Row]:
    """All rows in that order; those whose value is not known come last, either way."""

    def value(row: Row) -> Any:
        found = order.column.value(row)
        return found.casefold() if isinstance(found, str) else found

    valued = [(value(row), row) for row in rows]
    known = [pair for pair in valued if pair[0] is not None]
    known.sort(key=lambda pair: pair[0], reverse=not order.upwards)
    return [row for _, row in known] + [row for found, row in valued if found is None]


def holding(rows: Sequence[Row], text: str) -> list[Row]:
    """The connections that have `text` in what is known of them, in either case."""
    wanted = text.casefold()
    return [row for row in rows if wanted in _searched(row)] if wanted else list(rows)


def _searched(row: Row) -> str:
    return "\n".join(str(row.entry.get(name) or "") for name in SEARCHED).casefold()
