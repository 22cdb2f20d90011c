"""What came and what did not, as figures and in words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from netkit.clients.listen.events import Identity
from netkit.clients.listen.feed import Feed
from netkit.clients.listen.feeds import Feeds
from netkit.plurals import counted


@dataclass(slots=True)
class Figures:
    """Of one feed, or of all since the start. Rates are of the last second."""

    delivered: int = 0
    bytes: int = 0
    """Of payloads."""
    lost: int = 0
    """For good: neither repaired nor restored, or too late."""
    late: int = 0
    """Of the lost, those that came after they had been given up."""
    repaired: int = 0
    restored: int = 0
    reordered: int = 0
    duplicates: int = 0
    rate: int = 0
    """Datagrams in the last second."""
    bits: int = 0
    """Bits of payloads in the last second."""
    jitter: float | None = None
    """Seconds, RFC 3550; of several feeds the greatest."""
    latency: dict[str, float] = field(default_factory=dict)
    """Seconds, by ``p50``, ``p99`` and ``most``; of several feeds the greatest."""

    def add(self, other: Figures) -> None:
        """Have another feed's in it too."""
        for name in (
            "delivered", "bytes", "lost", "late", "repaired", "restored", "reordered",
            "duplicates", "rate", "bits",
        ):  # fmt: skip
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.jitter is not None:
            self.jitter = max(self.jitter or 0.0, other.jitter)
        for name, seconds in other.latency.items():
            self.latency[name] = max(self.latency.get(name, seconds), seconds)


def of(feed: Feed, now: float) -> Figures:
    """One feed's; `now` is the loop's time."""
    counts, statistics = feed.counts, feed.statistics
    rate, size = statistics.rate.read(now)
    latency = statistics.latency
    return Figures(
        feed.order.delivered, counts.bytes, feed.order.lost, counts.late, counts.repaired,
        counts.restored, counts.reordered, counts.duplicates, rate, size * 8,
        statistics.jitter.value / 1e9 if latency.count > 1 else None,
        {
            name: (latency.percentile(percent) or 0) / 1e9
            for name, percent in (("p50", 50.0), ("p99", 99.0), ("most", 100.0))
        }
        if latency.count
        else {},
    )  # fmt: skip


class Totals:
    """The sum of all feeds, with those that are over: senders that restart take no memory here."""

    def __init__(self, feeds: Feeds) -> None:
        self._feeds = feeds
        self._known: dict[Identity, Feed] = {}
        self._past = Figures()

    def begun(self, identity: Identity, now: float) -> None:
        """Hear of a feed."""
        self._fold(now)
        if feed := self._feeds.find(identity):
            self._known[identity] = feed

    def read(self, now: float) -> Figures:
        """The sum; `now` is the loop's time."""
        self._fold(now)
        total = Figures()
        total.add(self._past)
        for feed in self._known.values():
            total.add(of(feed, now))
        return total

    def _fold(self, now: float) -> None:
        gone = [each for each, feed in self._known.items() if self._feeds.find(each) is not feed]
        for identity in gone:
            self._past.add(of(self._known.pop(identity), now))
            self._past.rate = self._past.bits = 0


@dataclass(frozen=True, slots=True)
class Ours:
    """What was lost on this machine, and what was not taken."""

    kernel: int = 0
    """Dropped by the kernel: the receive buffer was full."""
    unwritten: Mapping[str, int] = field(default_factory=dict)
    """Messages that an output had no room for, by output."""
    rejected: Mapping[str, int] = field(default_factory=Counter)
    """Datagrams that are none of the feed's, by reason."""
    failed: int = 0
    """Commands that ended with another status than 0."""


def words(figures: Figures, ours: Ours, *, numbered: bool) -> str:
    """The live line."""
    parts = [f"{figures.rate:,}/s", f"{_scaled(figures.bits, 1000)}bit/s"]
    parts += _path(figures) if numbered else [f"{figures.delivered:,} delivered"]
    return ", ".join(parts + _own(ours))


def summary(figures: Figures, ours: Ours, seconds: float, *, numbered: bool) -> str:
    """The line at the end."""
    said = counted(figures.delivered, "datagram").replace(
        str(figures.delivered), f"{figures.delivered:,}", 1
    )
    parts = [f"{said} ({_scaled(figures.bytes, 1000)}B) in {seconds:.1f} s"]
    return ", ".join(parts + (_path(figures) if numbered else []) + _own(ours))


def beginning(addresses: Sequence[str], buffer: int) -> str:
    """The first line, for scripts: whoever has read it may send."""
    return json.dumps({"listening": list(addresses), "buffer": buffer})


def as_json(figures: Figures, ours: Ours, seconds: float) -> str:
    """Either, for scripts."""
    return json.dumps({"seconds": round(seconds, 3)} | asdict(figures) | asdict(ours))


def _path(figures: Figures) -> list[str]:
    """What the network did."""
    sent = figures.delivered + figures.lost
    lost = f"lost {figures.lost:,}"
    if figures.lost:
        lost += f" ({figures.lost / sent:.2%}"
        lost += f", {figures.late:,} of them late)" if figures.late else ")"
    parts = [lost, f"repaired {figures.repaired:,}"]
    if figures.restored:
        parts.append(f"restored {figures.restored:,}")
    parts += [f"reordered {figures.reordered:,}", f"duplicates {figures.duplicates:,}"]
    if figures.jitter is not None:
        parts.append(f"jitter {_time(figures.jitter)}")
    if figures.latency:
        told = (f"{name} {_time(seconds)}" for name, seconds in figures.latency.items())
        parts.append(f"latency {' '.join(told)}")
    return parts


def _own(ours: Ours) -> list[str]:
    """What we did; nothing of it is worth a word while it is 0."""
    parts = []
    if ours.kernel:
        parts.append(f"dropped by our kernel {ours.kernel:,}")
    parts += [f"not {what} {count:,}" for what, count in ours.unwritten.items() if count]
    if ours.failed:
        parts.append(f"commands failed {ours.failed:,}")
    if any(ours.rejected.values()):
        told = (f"{slug} {count:,}" for slug, count in sorted(ours.rejected.items()))
        parts.append(f"rejected: {' '.join(told)}")
    return parts


def _time(seconds: float) -> str:
    size = abs(seconds)
    if size < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.3g} ms" if size < 1 else f"{seconds:.3g} s"


def _scaled(value: float, step: int) -> str:
    for unit in ("", "k", "M", "G"):
        if value < step:
            return f"{value:.3g} {unit}" if unit else f"{value:.0f} "
        value /= step
    return f"{value:.3g} T"
