"""A snapshot as text, and as JSON for scripts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from netkit.cli.top.columns import (
    CONNECTIONS,
    UNKNOWN,
    WORKERS,
    Column,
    count,
    duration,
    pace,
    size,
)
from netkit.cli.top.rates import Picture, Row
from netkit.cli.top.rows import Order, ordered

BUSIEST = next(column for column in CONNECTIONS if column.head == "IN/s")
"""By what connections are sorted where nobody has said."""


def title(picture: Picture, where: str) -> str:
    """Which server, and since when."""
    return f"{where}  netkit {picture.version}  up {duration(picture.uptime)}"


def summary(picture: Picture) -> str:
    """What it does, all workers together."""
    rates = [picture.rates[name] for name in ("accepted", "received", "sent")]
    accepted, received, sent = (
        UNKNOWN if rate is None else written(rate)
        for rate, written in zip(rates, (pace, size, size), strict=True)
    )
    return (
        f"open {count(picture.open)}  accepted {accepted}/s  in {received}/s"
        f"  out {sent}/s  refused {count(picture.refused)}  restarts {count(picture.restarts)}"
    )


def text(picture: Picture, where: str) -> str:
    """Everything, for a person."""
    connections = ordered(picture.connections, Order.by(BUSIEST))
    return "\n".join(
        [
            title(picture, where),
            summary(picture),
            "",
            *lined_up(WORKERS, picture.workers),
            "",
            *lined_up(CONNECTIONS, connections),
        ]
    )


def lined_up(columns: Sequence[Column], rows: Iterable[Row]) -> list[str]:
    """Lines of a table; figures stand right."""
    lines = [[column.head for column in columns]]
    lines += [[column.text(row) for column in columns] for row in rows]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if column.is_text else cell.rjust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ).rstrip()
        for line in lines
    ]


def as_json(picture: Picture) -> str:
    """Everything, for a script: what the server says, and beside it the rates."""
    return json.dumps(
        {
            "version": picture.version,
            "uptime": picture.uptime,
            "restarts": picture.restarts,
            "open": picture.open,
            "refused": picture.refused,
            "counters": picture.counters,
            "per_second": picture.rates,
            "workers": [_with_rates(row) for row in picture.workers],
            "connections": [_with_rates(row) for row in picture.connections],
        },
        indent=1,
    )


def _with_rates(row: Row) -> dict[str, Any]:
    return {**row.entry, "per_second": row.rates}
