"""Two samples of a server become figures per second. No clock, no socket, no screen.

Rules:

- Time is the server's own: a worker and a connection tell their age, the server
  its uptime. So neither a slow answer nor the asker's clock bends a rate.
- Who came after the earlier sample began at 0, so all that it has counted falls
  into the step between the two.
- Where nothing can be compared, the rate is None: at the first sample, for a
  connection whose worker gave no answer before, after a restart of the server.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Entry = Mapping[str, Any]
"""One worker or connection, as the server describes it."""

SLACK = 0.05
"""Seconds by which the server's figures of one sample may be apart: it asks its workers in turn."""


@dataclass(frozen=True)
class Sample:
    """What a server said at one time."""

    server: Entry
    """The answer of ``/workers``."""
    connections: list[dict[str, Any]]
    """The answer of ``/connections``."""


@dataclass(frozen=True)
class Row:
    """A worker or a connection, with what it did per second."""

    entry: Entry
    rates: Mapping[str, float | None] = field(default_factory=dict)
    """By the name of the counter, per second."""


@dataclass(frozen=True)
class Picture:
    """What is shown of a server."""

    version: str
    uptime: float
    """Seconds."""
    restarts: int
    """Workers that ended without being told."""
    open: int
    """Connections; of a worker that gives no answer, as many as it said last."""
    counters: Mapping[str, float]
    """Of all workers, also of those that have ended."""
    rates: Mapping[str, float | None]
    workers: list[Row]
    connections: list[Row]

    @property
    def refused(self) -> int:
        """Newcomers turned away, by whatever limit."""
        return int(sum(n for name, n in self.counters.items() if name.startswith("refused:")))


COUNTERS = ("accepted", "received", "sent")
"""Whose rates are told, of the server and of each worker."""


def compared(before: Sample | None, now: Sample) -> Picture:
    """The picture of `now`, with rates since `before`."""
    uptime = now.server["uptime"]
    if before is not None and not _same_server(before.server, now.server):
        before = None
    step = uptime - before.server["uptime"] if before else None
    counters = totals(now.server)
    earlier = totals(before.server) if before else {}
    return Picture(
        version=now.server["version"],
        uptime=uptime,
        restarts=now.server["restarts"],
        open=sum(int(each["gauges"].get("open", 0)) for each in now.server["workers"]),
        counters=counters,
        rates={name: rate(earlier.get(name), counters.get(name), step) for name in COUNTERS},
        workers=_workers(before, now, step),
        connections=_connections(before, now, step),
    )


def _same_server(before: Entry, now: Entry) -> bool:
    return bool(before["pid"] == now["pid"] and before["uptime"] < now["uptime"])


def totals(server: Entry) -> dict[str, float]:
    """The counters of all workers, also of those that have ended."""
    total: dict[str, float] = dict(server["settled"])
    for worker in server["workers"]:
        for name, count in worker["counters"].items():
            total[name] = total.get(name, 0) + count
    for name in COUNTERS:  # a counter is not told while it is 0
        total.setdefault(name, 0)
    return total


def rate(before: float | None, now: float | None, seconds: float | None) -> float | None:
    """A counter's growth per second; None if it cannot be told or went backwards."""
    if before is None or now is None or not seconds or seconds < 0 or now < before:
        return None
    return (now - before) / seconds


def _workers(before: Sample | None, now: Sample, step: float | None) -> list[Row]:
    earlier = _by(worker_key, before.server["workers"] if before else ())
    return [
        Row(each, grown(earlier.get(worker_key(each)), each, step, _counted))
        for each in now.server["workers"]
    ]


def _connections(before: Sample | None, now: Sample, step: float | None) -> list[Row]:
    earlier = _by(connection_key, before.connections if before else ())
    return [
        Row(each, grown(earlier.get(connection_key(each)), each, step, _carried))
        for each in now.connections
    ]


def _counted(worker: Entry) -> dict[str, float | None]:
    return {name: worker["counters"].get(name, 0) for name in COUNTERS}


def _carried(connection: Entry) -> dict[str, float | None]:
    return {"received": connection.get("received"), "sent": connection.get("sent")}


def grown(
    old: Entry | None,
    now: Entry,
    step: float | None,
    counters: Callable[[Entry], dict[str, float | None]],
) -> dict[str, float | None]:
    """What grew per second from a worker's or connection's `old` entry, if there is one.

    `step` is the time in seconds between the samples that the two are from.
    """
    counts = counters(now)
    if old is not None and now["age"] > old["age"]:
        earlier, seconds = counters(old), now["age"] - old["age"]
        return {name: rate(earlier[name], count, seconds) for name, count in counts.items()}
    if step is not None and now["age"] <= step + SLACK:
        return {name: rate(0, count, step) for name, count in counts.items()}
    return dict.fromkeys(counts)


def _by(key: Callable[[Entry], Hashable], entries: Iterable[Entry]) -> dict[Hashable, Entry]:
    """Entries by what tells them apart."""
    return {key(entry): entry for entry in entries}


def worker_key(worker: Entry) -> Hashable:
    """Tells a worker from all others, also from one that it replaces."""
    return (worker["worker"], worker.get("pid"))


def connection_key(connection: Entry) -> tuple[int, int | None, int]:
    """Tells a connection from all others."""
    return (connection["worker"], connection.get("pid"), connection["id"])
