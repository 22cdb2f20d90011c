"""A sender, listeners and the links between them in virtual time: no socket, no clock, seeded."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from netkit.clients.listen.common import Common
from netkit.clients.listen.events import Address, Delivered, Ended, Event, Lost
from netkit.clients.listen.feed import Feed
from netkit.clients.listen.feeds import Feeds
from netkit.feeds import ranges
from netkit.feeds.format import SIZE, Flag, Header, Kind, unpack
from netkit.feeds.parity import Parity
from netkit.servers.broadcast.bucket import Bucket
from netkit.servers.broadcast.repair import Repair
from netkit.servers.broadcast.sender import Sender
from netkit.servers.broadcast.window import Window

SENDER = 0x1A2B3C4D
EPOCH = 1_767_225_600
ADDRESS: Address = ("192.0.2.1", 9999)
PAYLOAD = bytes(64)


def datagram(kind: Kind, sequence: int, extra: int = 0, payload: bytes = b"", **more: int) -> bytes:
    """One as our sender sends it; `more` are other fields of the header."""
    fields = {"sender": SENDER, "epoch": EPOCH, "time": sequence * 1000} | more
    flags = Flag(fields.pop("flags", 0))
    return Header(kind, sequence=sequence, extra=extra, flags=flags, **fields).pack() + payload


@dataclass
class Link:
    """One way of a path. Times are in seconds."""

    rng: random.Random
    loss: float = 0.0
    delay: float = 0.0005
    reordered: float = 0.0
    """How many of one are late by up to `lag`."""
    duplicated: float = 0.0
    lag: float = 0.002

    def arrivals(self, now: float) -> list[float]:
        """When copies of what is sent now come."""
        found = []
        for _ in range(1 + (self.rng.random() < self.duplicated)):
            if self.rng.random() >= self.loss:
                late = self.rng.random() * self.lag if self.rng.random() < self.reordered else 0.0
                found.append(now + self.delay + late)
        return found


class Source:
    """A feed's sender with repair, and the bytes that it sends by their kind."""

    def __init__(
        self, window: int = 200_000, rate: float = 1e9, parity: Parity | None = None
    ) -> None:
        self.window = Window(window)
        self.sender = Sender(SENDER, EPOCH, 0.0, window=self.window, parity=parity)
        self.repair = Repair(SENDER, EPOCH, self.window, Bucket(rate, 0.0))
        self.sent: Counter[Kind] = Counter()
        """Bytes."""
        self.asked: Counter[int] = Counter()
        """How often each number was asked for."""

    def data(self, now: float) -> list[bytes]:
        return self.sender.send([PAYLOAD], now, nanoseconds(now))

    def answer(self, ask: bytes, now: float) -> list[bytes]:
        for each in ranges.unpack(ask[SIZE:], unpack(ask).extra):
            self.asked.update(range(each.first, each.stop))
        return [out.datagram for out in self.repair.receive(ask, now, nanoseconds(now))]


class Listener:
    """Feeds, and what was told of them."""

    def __init__(self, common: Common) -> None:
        self.feeds = Feeds(common)
        self.delivered = 0
        self.lost = list[Lost]()
        self.ended = list[Ended]()
        self.wake: float | None = None
        self._next: int | None = None

    @property
    def feed(self) -> Feed:
        (feed,) = self.feeds
        return feed

    def hear(self, events: list[Event]) -> None:
        """Check that each number is told once and in order."""
        for event in events:
            match event:
                case Delivered(sequence=sequence):
                    self._follow(sequence, 1)
                    self.delivered += 1
                case Lost(first=first, count=count):
                    self._follow(first, count)
                    self.lost.append(event)
                case Ended():
                    self.ended.append(event)

    def _follow(self, first: int, count: int) -> None:
        assert self._next in (None, first)
        self._next = first + count


class Network:
    """Everything that happens, in the order of its time.

    What the source sends goes through the `shared` link, then to each listener through its own.
    """

    def __init__(
        self, source: Source, listeners: list[Listener], shared: Link, down: list[Link], up: Link
    ) -> None:
        self.now = 0.0
        self.source = source
        self.listeners = listeners
        self.asks = 0
        self.lost: Counter[Kind] = Counter()
        """Datagrams of which the shared link let no copy through."""
        self._shared, self._down, self._up = shared, down, up
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def run(self, count: int, rate: float) -> None:
        """Send so many data, then the end, and go on until nothing happens any more."""
        self._at(0.0, partial(self._data, count, rate))
        while self._queue:
            self.now, _, action = heapq.heappop(self._queue)
            action()

    def _at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (when, next(self._order), action))

    def _data(self, count: int, rate: float) -> None:
        self._send(self.source.data(self.now))
        done = self.source.sender.sequence
        self._at(done / rate, partial(self._data, count, rate) if done < count else self._end)

    def _end(self) -> None:
        self._send(self.source.sender.end(self.now, nanoseconds(self.now)))
        self._beat()

    def _beat(self) -> None:
        self._send(self.source.sender.tick(self.now, nanoseconds(self.now)))
        if self.source.sender.deadline is not None:
            self._at(self.source.sender.deadline, self._beat)

    def _send(self, datagrams: list[bytes]) -> None:
        for each in datagrams:
            kind = unpack(each).kind
            self.source.sent[kind] += len(each)
            arrivals = self._shared.arrivals(self.now)
            self.lost[kind] += not arrivals
            for through in arrivals:
                for listener, link in zip(self.listeners, self._down, strict=True):
                    for when in link.arrivals(through):
                        self._at(when, partial(self._arrive, listener, each))

    def _arrive(self, listener: Listener, sent: bytes) -> None:
        listener.hear(listener.feeds.receive(sent, ADDRESS, self.now, nanoseconds(self.now)))
        self._arm(listener)

    def _arm(self, listener: Listener) -> None:
        deadline = listener.feeds.deadline
        if deadline is not None and (listener.wake is None or deadline < listener.wake):
            listener.wake = deadline
            self._at(deadline, partial(self._tick, listener, deadline))

    def _tick(self, listener: Listener, armed: float) -> None:
        if listener.wake != armed:
            return
        listener.wake = None
        listener.hear(listener.feeds.tick(self.now))
        for ask, address in listener.feeds.outgoing(nanoseconds(self.now)):
            assert address == ADDRESS
            self.asks += 1
            self.source.sent[Kind.ASK] += len(ask)
            for when in self._up.arrivals(self.now):
                self._at(when, partial(self._answer, ask))
        self._arm(listener)

    def _answer(self, ask: bytes) -> None:
        self._send(self.source.answer(ask, self.now))
        self._resend()

    def _resend(self) -> None:
        self._send([out.datagram for out in self.source.repair.due(self.now)])
        later = self.source.repair.deadline(self.now)
        if later is not None:
            self._at(later, self._resend)


def nanoseconds(now: float) -> int:
    return EPOCH * 10**9 + int(now * 1e9)
