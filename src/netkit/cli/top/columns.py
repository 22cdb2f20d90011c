"""What is shown of a worker and of a connection: a table's columns, and how values are written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from netkit.cli.printable import printable
from netkit.cli.top.rates import Row

UNKNOWN = "-"


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    head: str
    value: Callable[[Row], Any]
    """What it is sorted by; None where that is not known."""
    written: Callable[[Any], str]
    """That value as text."""
    width: int
    """Characters on a screen, where a longer text is cut."""
    is_text: bool = False
    """Texts stand left and are sorted from A; figures stand right, the largest first."""

    def text(self, row: Row) -> str:
        """What stands in it for a row."""
        value = self.value(row)
        return UNKNOWN if value is None else self.written(value)

    def cell(self, row: Row) -> str:
        """The same on a screen."""
        text = self.text(row)
        return text if len(text) <= self.width else f"{text[: self.width - 1]}…"


def count(number: float) -> str:
    """A count as people read it."""
    return f"{number:,.0f}"


def size(number: float) -> str:
    """Bytes, with three digits that count: ``1.23 MB``."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(number) < 999.5 or unit == "TB":
            break
        number /= 1000
    return f"{number:.0f} B" if unit == "B" else f"{digits(number)} {unit}"


def pace(number: float) -> str:
    """Things per second."""
    return count(number) if number >= 99.95 or not number else digits(number)


def duration(seconds: float) -> str:
    """A time that has passed: ``12.3 s``, ``4m05s``, ``3h07m``, ``2d05h``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d{hour:02}h"
    return f"{hours}h{minute:02}m" if hours else f"{minutes}m{second:02}s"


def delay(seconds: float) -> str:
    """A short time, in milliseconds."""
    return f"{digits(seconds * 1000)} ms"


def digits(number: float) -> str:
    """A figure below 1000 with three digits that count, as far as there are."""
    places = 2 if number < 9.995 else 1 if number < 99.95 else 0
    return f"{number:,.{places}f}"


def entry(name: str) -> Callable[[Row], Any]:
    """A value of the server's description."""
    return lambda row: row.entry.get(name)


def gauge(name: str) -> Callable[[Row], Any]:
    """A gauge of a worker."""
    return lambda row: row.entry["gauges"].get(name)


def per_second(name: str) -> Callable[[Row], Any]:
    """The rate of a counter."""
    return lambda row: row.rates.get(name)


def state(row: Row) -> str:
    """What a worker does."""
    if not row.entry["answers"]:
        return "held up"
    return "leaving" if row.entry["leaving"] else "serving"


WORKERS = (
    Column("WORKER", entry("worker"), str, 6),
    Column("PID", entry("pid"), str, 7),
    Column("STATE", state, str, 7, is_text=True),
    Column("AGE", entry("age"), duration, 7),
    Column("OPEN", gauge("open"), count, 7),
    Column("ACCEPTED/s", per_second("accepted"), pace, 10),
    Column("IN/s", per_second("received"), size, 7),
    Column("OUT/s", per_second("sent"), size, 7),
    Column("LAG", gauge("lag"), delay, 8),
    Column("MEMORY", gauge("resident"), size, 7),
    Column("FDS", gauge("descriptors"), count, 7),
)
CONNECTIONS = (
    Column("WORKER", entry("worker"), str, 6),
    Column("ID", entry("id"), str, 7),
    Column("PEER", entry("peer"), printable, 21, is_text=True),
    Column("AGE", entry("age"), duration, 7),
    Column("IN/s", per_second("received"), size, 7),
    Column("OUT/s", per_second("sent"), size, 7),
    Column("IN", entry("received"), size, 7),
    Column("OUT", entry("sent"), size, 7),
    Column("RTT", entry("rtt"), delay, 8),
    Column("QUIET", entry("quiet"), duration, 7),
    Column("TLS", lambda row: (row.entry.get("tls") or "").split(" ")[0] or None, printable, 7,
           is_text=True),
    Column("SAYS", entry("says"), printable, 24, is_text=True),
)  # fmt: skip
