"""Who is sent to where multicast does not reach: subscribe, challenge, subscribed.

A core: datagrams and `now` in, answers and events out. It never answers with more bytes
than it got, and keeps nothing of an address that has not proven itself.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from netkit.feeds.cookies import COOKIE, Cookies, Peer
from netkit.feeds.format import CONTROL, SIZE, Header, Kind, MalformedError, Refusal, unpack


class Change(StrEnum):
    """What became of a subscription."""

    JOINED = "joined"
    RENEWED = "renewed"
    LEFT = "left"
    EXPIRED = "expired"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Event:
    """What is worth a line in the log; a challenge is not: anybody can cause it."""

    change: Change
    peer: Peer


@dataclass(frozen=True, slots=True)
class Limits:
    """How many may subscribe, and for how long at a time."""

    most: int = 1024
    """Subscribers: each costs a copy of all that is sent."""
    most_per_address: int = 16
    """Listeners on one host, or behind one address translation."""
    seconds: int = 120
    """The longest subscription, and the least time that silence takes to be noticed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """To be sent to the asker, and to nobody else."""

    datagram: bytes
    event: Event | None = None


class Subscribers:
    """Those who are subscribed now. Iterating gives their addresses, first come first."""

    def __init__(
        self, sender: int, epoch: int, cookies: Cookies, limits: Limits | None = None
    ) -> None:
        self._sender, self._epoch = sender, epoch
        self._cookies = cookies
        self._limits = limits or Limits()
        self._until: dict[Peer, float] = {}
        self._of_address: Counter[str] = Counter()
        self._soonest = math.inf

    def __len__(self) -> int:
        return len(self._until)

    def __iter__(self) -> Iterator[Peer]:
        return iter(self._until)

    def __contains__(self, peer: Peer) -> bool:
        return peer in self._until

    def receive(
        self, datagram: bytes, peer: Peer, now: float, time: int, following: int
    ) -> tuple[Answer, list[Event]]:
        """Answer a subscribe. `time` is ns of Unix time, `following` the next number of the feed.

        The events are of others, whose time was over. Raises `MalformedError`, and then
        nothing is to be answered, with a `slug` of `unpack`, ``kind`` if it is no
        subscribe, ``size`` if it is not 64 bytes as specified.
        """
        asked = unpack(datagram)
        if asked.kind is not Kind.SUBSCRIBE:
            raise MalformedError("kind")
        cookie, rest = datagram[SIZE : SIZE + COOKIE], datagram[SIZE + COOKIE :]
        if len(datagram) != CONTROL or any(rest):
            raise MalformedError("size")
        expired = self.expire(now)
        # Whatever feed it names: after a restart of the sender a listener knows the old one.
        if not self._cookies.good(cookie, peer, now):
            baked = self._cookies.bake(peer, now)
            return self._say(Kind.CHALLENGE, asked, time, self._limits.seconds, baked), expired
        if not asked.extra:
            return self._leave(asked, peer, time, following), expired
        return self._join(asked, peer, now, time, following), expired

    def expire(self, now: float) -> list[Event]:
        """Forget those whose time is over. To be called about once a second."""
        if now < self._soonest:
            return []
        over = [peer for peer, until in self._until.items() if until <= now]
        for peer in over:
            self._forget(peer)
        self._soonest = min(self._until.values(), default=math.inf)
        return [Event(Change.EXPIRED, peer) for peer in over]

    def _join(self, asked: Header, peer: Peer, now: float, time: int, following: int) -> Answer:
        known = peer in self._until
        if not known and self._full(peer[0]):
            event = Event(Change.REFUSED, peer)
            return self._say(Kind.REFUSED, asked, time, Refusal.FULL, event=event)
        seconds = min(asked.extra, self._limits.seconds)
        if not known:
            self._of_address[peer[0]] += 1
        self._until[peer] = now + seconds
        self._soonest = min(self._soonest, now + seconds)
        event = Event(Change.RENEWED if known else Change.JOINED, peer)
        return self._say(Kind.SUBSCRIBED, asked, time, seconds, _number(following), event)

    def _leave(self, asked: Header, peer: Peer, time: int, following: int) -> Answer:
        event = None
        if peer in self._until:
            self._forget(peer)
            event = Event(Change.LEFT, peer)
        return self._say(Kind.SUBSCRIBED, asked, time, 0, _number(following), event)

    def _full(self, address: str) -> bool:
        limits = self._limits
        return (
            len(self._until) >= limits.most or self._of_address[address] >= limits.most_per_address
        )

    def _forget(self, peer: Peer) -> None:
        del self._until[peer]
        self._of_address[peer[0]] -= 1
        if not self._of_address[peer[0]]:
            del self._of_address[peer[0]]

    def _say(
        self,
        kind: Kind,
        asked: Header,
        time: int,
        extra: int,
        payload: bytes = b"",
        event: Event | None = None,
    ) -> Answer:
        header = Header(kind, self._sender, self._epoch, asked.sequence, time, extra)
        return Answer((header.pack() + payload).ljust(CONTROL, b"\0"), event)


def _number(sequence: int) -> bytes:
    return sequence.to_bytes(8, "big")
