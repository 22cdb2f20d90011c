"""All the feeds that one listener hears, from however many senders.

A sender has one feed at a time: a higher epoch ends the one before, whose missing
numbers are then lost, and a lower epoch is a replay. So that forged senders take no memory
without end, there is room for `senders`. When all places are taken, one that was quiet for
`QUIET` seconds makes way, else the newcomer is rejected. What is remembered of
one that made way is its epoch and its next number: it can come back, its past can't.

Bounds: `senders` feeds, `PAST` that made way, and for what is held back one `Room` for all.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator

from netkit.clients.listen.common import Common
from netkit.clients.listen.events import Address, End, Event, Identity
from netkit.clients.listen.feed import Feed
from netkit.feeds.format import SIZE, Kind, MalformedError, unpack
from netkit.feeds.sealing import FLAGS, Opening, payload_end

QUIET = 60.0
"""Seconds. Heartbeats come far more often than that."""
PAST = 4096
"""Senders that made way and are remembered."""
_HEARD = frozenset({Kind.DATA, Kind.HEARTBEAT, Kind.PARITY, Kind.ASKED})


class Feeds:
    """Datagrams of any feed in; events of all of them out. Iterating gives the present ones.

    `now` is seconds of the loop's clock, `arrived` nanoseconds of Unix time.
    """

    def __init__(
        self, common: Common, *, opening: Opening | None = None, senders: int = 64
    ) -> None:
        self.rejected: Counter[str] = Counter()
        """Datagrams that were dropped, by reason: there are a dozen reasons."""
        self._common = common
        self._opening = opening
        self._senders = senders
        self._current: dict[int, Feed] = {}
        self._past: OrderedDict[int, tuple[int, int]] = OrderedDict()
        self._events: list[Event] = []

    def __iter__(self) -> Iterator[Feed]:
        return iter(self._current.values())

    @property
    def deadline(self) -> float | None:
        """When to call `tick`, if nothing comes before."""
        waiting = [at for feed in self if (at := feed.deadline) is not None]
        return min(waiting, default=None)

    def find(self, identity: Identity) -> Feed | None:
        """The present feed of this sender and epoch, for `Feed.run`."""
        feed = self._current.get(identity.sender)
        return feed if feed and feed.identity == identity else None

    def receive(self, datagram: bytes, address: Address, now: float, arrived: int) -> list[Event]:
        """Hear of one datagram; whatever is wrong with it is counted in `rejected`."""
        try:
            header = unpack(datagram)
            if header.kind not in _HEARD:
                raise MalformedError("kind")
            payload = self._payload(datagram)
            feed = self._feed(header.sender, header.epoch, address, now)
            feed.receive(header, payload, address, now, arrived)
        except MalformedError as error:
            self.rejected[error.slug] += 1
        else:
            self._events += feed.take()
        return self._take()

    def subscribed(
        self, identity: Identity, first: int, address: Address, now: float
    ) -> list[Event]:
        """Hear that a feed is sent to us from number `first` on, so that the first ones are missed.

        Nothing changes in a feed that is heard already.
        """
        try:
            feed = self._feed(*identity, address, now)
        except MalformedError as error:
            self.rejected[error.slug] += 1
        else:
            feed.begin(max(first, 1), address, now)
            self._events += feed.take()
        return self._take()

    def tick(self, now: float) -> list[Event]:
        """Let time pass."""
        for feed in self:
            at = feed.deadline
            if at is not None and at <= now:
                feed.tick(now)
                self._events += feed.take()
        return self._take()

    def outgoing(self, time: int) -> list[tuple[bytes, Address]]:
        """Asks to send now, `time` being nanoseconds of Unix time."""
        return [(ask, feed.source.address) for feed in self for ask in feed.outgoing(time)]

    def close(self) -> list[Event]:
        """End all feeds: whatever is missing is lost."""
        for feed in self:
            self._end(feed, End.CLOSED)
        return self._take()

    def _payload(self, datagram: bytes) -> bytes:
        if self._opening:
            return datagram[SIZE : self._opening.open(datagram)]
        return datagram[SIZE : payload_end(datagram)] if datagram[FLAGS] else datagram[SIZE:]

    def _feed(self, sender: int, epoch: int, address: Address, now: float) -> Feed:
        """The feed that this belongs to, which may be new."""
        feed = self._current.get(sender)
        if feed and epoch == feed.identity.epoch:
            return feed
        past, following = self._past.get(sender, (0, 0))
        if epoch < (feed.identity.epoch if feed else past):
            raise MalformedError("replayed")
        if feed:
            self._end(feed, End.RESTARTED)
        elif len(self._current) >= self._senders:
            self._make_way(now)
        new = self._current[sender] = Feed(Identity(sender, epoch), self._common, address, now)
        if following and epoch == past:
            new.begin(following, address, now)
        return new

    def _make_way(self, now: float) -> None:
        quietest = min(self, key=lambda feed: feed.heard)
        if now - quietest.heard < QUIET:
            raise MalformedError("crowded")
        self._end(quietest, End.QUIET)
        identity = quietest.identity
        del self._current[identity.sender]
        self._past[identity.sender] = (identity.epoch, quietest.order.next)
        self._past.move_to_end(identity.sender)
        if len(self._past) > PAST:
            self._past.popitem(last=False)

    def _end(self, feed: Feed, why: End) -> None:
        feed.close(why)
        self._events += feed.take()

    def _take(self) -> list[Event]:
        events, self._events = self._events, []
        return events
