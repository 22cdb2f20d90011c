"""What listeners ask for again: asks in, *asked* and datagrams out, at a rate of its own.

A core. What cannot be paid for now waits its turn in a bounded queue. Many listeners lose
the same datagram at the same time: what was asked for a moment ago is not sent twice.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from netkit.feeds.cookies import Peer
from netkit.feeds.format import SIZE, Header, Kind, MalformedError, unpack
from netkit.feeds.ranges import Range, RangeSet, batches, pack
from netkit.feeds.ranges import unpack as unpack_ranges
from netkit.feeds.sealing import Sealing
from netkit.servers.broadcast.bucket import Bucket
from netkit.servers.broadcast.window import Window


@dataclass(frozen=True, slots=True)
class Limits:
    """What asks may cost."""

    waiting: int = 4096
    """Datagrams that wait until there is rate for them."""
    numbers: int = 1024
    """Numbers of one ask that are looked at, which takes a fraction of a millisecond. The
    rest are asked for again."""
    hold: float = 0.02
    """Seconds in which a datagram is not sent again twice: longer than a listener's
    back-off differs from another's, shorter than it waits to ask again."""


@dataclass(slots=True)
class Counts:
    """What became of the numbers asked for."""

    resent: int = 0
    repeated: int = 0
    """Asked for a moment ago by another, or by the same."""
    gone: int = 0
    """Not in the window."""
    overflowed: int = 0
    """Too much for one ask, or for the queue."""


class Outgoing(NamedTuple):
    """A datagram to be sent: to one subscriber, or if `to` is None to all who hear the feed."""

    datagram: bytes
    to: Peer | None


class Repair:
    """Asks for one feed. `rate` fills with bytes of datagrams."""

    def __init__(
        self,
        sender: int,
        epoch: int,
        window: Window,
        rate: Bucket,
        *,
        sealing: Sealing | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._sender, self._epoch = sender, epoch
        self._window, self._rate, self._sealing = window, rate, sealing
        self._limits = limits or Limits()
        self._queue: deque[tuple[int, Peer | None]] = deque()
        self._sent: deque[tuple[float, tuple[int, Peer | None]]] = deque()
        # In either of them: not to be queued again.
        self._known: set[tuple[int, Peer | None]] = set()
        self.counts = Counts()

    def receive(
        self, datagram: bytes, now: float, time: int, to: Peer | None = None
    ) -> list[Outgoing]:
        """Take an ask; `to` is the subscriber who asks, None for one who hears a group.

        Gives what is to be sent now. Raises `MalformedError` with a `slug` of `unpack`,
        ``kind`` if it is no ask, ``ranges``, or ``stranger`` if it is about another feed.
        """
        ask = unpack(datagram)
        if ask.kind is not Kind.ASK:
            raise MalformedError("kind")
        ranges = unpack_ranges(memoryview(datagram)[SIZE:], ask.extra)
        if (ask.sender, ask.epoch) != (self._sender, self._epoch):
            raise MalformedError("stranger")
        self._window.expire(now)
        self._forget(now)
        taken = self._take(ranges, to)
        told = [] if to else [Outgoing(each, None) for each in self._asked(taken, time)]
        for each in told:
            self._rate.spend(now, len(each.datagram))
        return [*told, *self.due(now)]

    def due(self, now: float) -> list[Outgoing]:
        """What waits and may be sent by now."""
        out = []
        while self._queue:
            number, to = key = self._queue[0]
            datagram = self._window.find(number)
            if datagram is None:
                self.counts.gone += 1
                self._known.discard(key)
            elif self._rate.delay(now, len(datagram)):
                break
            else:
                self._rate.spend(now, len(datagram))
                self._sent.append((now, key))
                out.append(Outgoing(datagram, to))
            self._queue.popleft()
        self.counts.resent += len(out)
        return out

    def deadline(self, now: float) -> float | None:
        """When `due` has something; None if nothing waits."""
        if not self._queue:
            return None
        datagram = self._window.find(self._queue[0][0])
        return now + self._rate.delay(now, len(datagram) if datagram else 0)

    def _take(self, ranges: list[Range], to: Peer | None) -> RangeSet:
        """Queue what is to be sent again; the numbers of that."""
        taken = RangeSet()
        left = self._limits.numbers
        oldest, stop = self._window.oldest, self._window.following
        for each in ranges:
            low, high = max(each.first, oldest), min(each.stop, stop)
            self.counts.gone += each.count - max(0, high - low)
            looked_at = range(low, min(high, low + left))
            for number in looked_at:
                self._consider(number, to, taken)
            left -= len(looked_at)
            self.counts.overflowed += max(0, high - low) - len(looked_at)
        return taken

    def _consider(self, number: int, to: Peer | None, taken: RangeSet) -> None:
        key = (number, to)
        if key in self._known:
            self.counts.repeated += 1
        elif len(self._queue) >= self._limits.waiting:
            self.counts.overflowed += 1
        else:
            self._known.add(key)
            self._queue.append(key)
            taken.add(number)

    def _asked(self, taken: RangeSet, time: int) -> list[bytes]:
        return [self._tell(ranges, time) for ranges in batches(taken)]

    def _tell(self, ranges: list[Range], time: int) -> bytes:
        header = Header(Kind.ASKED, self._sender, self._epoch, 0, time, len(ranges))
        made = header.pack() + pack(ranges)
        return self._sealing.seal(made) if self._sealing else made

    def _forget(self, now: float) -> None:
        """What was sent again a while ago may be so once more; so few are held at a time."""
        while self._sent and (
            self._sent[0][0] <= now - self._limits.hold or len(self._sent) > self._limits.waiting
        ):
            self._known.discard(self._sent.popleft()[1])
