"""From payloads to the network: numbered, at the rate that was asked for, on every way out.

And back: what listeners ask for is sent again. All decisions are the cores'; here is the
loop's side of them: time, and waiting for rate and room.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from netkit.feeds.cookies import Peer
from netkit.feeds.format import Kind, MalformedError, unpack
from netkit.feeds.offload import LONGEST, SEGMENTS
from netkit.servers.broadcast.batch import MOST, MOST_BYTES
from netkit.servers.broadcast.bucket import BURST, Bucket, Rate
from netkit.servers.broadcast.repair import Counts, Outgoing, Repair
from netkit.servers.broadcast.routes import Audience, Route
from netkit.servers.broadcast.sender import Sender
from netkit.servers.broadcast.subscribers import Event

log = logging.getLogger("netkit.server")

QUIET = 1.0
"""Seconds without an ask after which, at the end, nobody is taken to miss anything."""


class Transmitter:
    """Sends one feed on all its ways. Whoever has it runs `attend` beside, and closes the ways.

    Without a `sender` payloads go out as they are. `rate` bounds what is sent first,
    not what is sent again.
    """

    def __init__(
        self, sender: Sender | None, repair: Repair | None, rate: Rate | None = None
    ) -> None:
        self._sender, self._repair, self._rate = sender, repair, rate
        self._loop = asyncio.get_running_loop()
        self._bucket = Bucket(rate.per_second, self._loop.time()) if rate else None
        self._again: deque[Outgoing] = deque()
        self._news = asyncio.Event()
        self._over = asyncio.Event()
        self._asked_at = -QUIET
        self.ways: list[Route | Audience] = []
        self.payloads = self.datagrams = self.bytes = 0
        """What was sent, each counted once however many ways it takes."""
        self.rejected: Counter[str] = Counter()
        """What came and was nothing that we answer, by the reason."""

    async def send(self, payloads: Sequence[bytes]) -> None:
        """Send them in order; returns when the last is with the kernel."""
        for run in runs(payloads, self._most):
            if self._bucket is not None:
                await self._afford(self._bucket, len(run), len(run[0]))
            await self._send_run(run)
            self.payloads += len(run)

    async def end(self) -> None:
        """Tell the end, and answer those who miss something until they are quiet."""
        if self._sender is None:
            return
        await self._out(self._sender.end(self._loop.time(), time.time_ns()))
        self._news.set()
        await self._over.wait()

    async def attend(self) -> None:
        """Tell of the feed in its silences, and send again what was asked for; for ever."""
        while True:
            self._news.clear()
            if self._sender is not None:
                await self._out(self._sender.tick(self._loop.time(), time.time_ns()))
            if self._repair is not None:
                self._again += self._repair.due(self._loop.time())
            while self._again:
                await self._send_again(self._again.popleft())
            if self._sender is not None and self._sender.deadline is None and self._is_quiet():
                self._over.set()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._deadline()):
                    await self._news.wait()

    def received(self, way: Route | Audience, datagram: bytes, peer: Peer) -> None:
        """Answer what came by one of the ways."""
        now, clock = self._loop.time(), time.time_ns()
        try:
            kind = unpack(datagram).kind
            if kind is Kind.SUBSCRIBE and isinstance(way, Audience):
                self._subscribe(way, datagram, peer, now, clock)
            elif kind is Kind.ASK and self._repair is not None:
                self._resend(self._repair, way, datagram, peer, now, clock)
            else:
                raise MalformedError("kind")
        except MalformedError as error:
            self.rejected[error.slug] += 1

    @property
    def following(self) -> int:
        """The next number."""
        return self._sender.following if self._sender else self.payloads + 1

    def whole(self, size: int) -> int:
        """Bytes of a datagram with a payload of this size, at most."""
        return size + (self._sender.overhead if self._sender else 0)

    def figures(self) -> dict[str, float]:
        """What was sent, sent again, asked for and refused so far."""
        again = self._repair.counts if self._repair else Counts()
        audiences = [way for way in self.ways if isinstance(way, Audience)]
        return {
            "broadcast_payloads_total": self.payloads,
            "broadcast_datagrams_total": self.datagrams,
            "broadcast_bytes_total": self.bytes,
            "broadcast_resent_total": again.resent,
            "broadcast_not_resent_total": again.gone + again.overflowed,
            "broadcast_rejected_total": self.rejected.total(),
            "broadcast_errors_total": sum(way.errors.total() for way in self.ways),
            "broadcast_subscribers": sum(len(way.subscribers) for way in audiences),
        }

    def expire(self) -> None:
        """Let subscriptions end whose time is over."""
        for way in self.ways:
            if isinstance(way, Audience):
                _log(way.subscribers.expire(self._loop.time()))

    def _subscribe(
        self, way: Audience, datagram: bytes, peer: Peer, now: float, clock: int
    ) -> None:
        following = self._sender.following if self._sender else 0
        answer, events = way.subscribers.receive(datagram, peer, now, clock, following)
        way.transport.sendto(answer.datagram, peer)
        _log([*events, *([answer.event] if answer.event else [])])

    def _resend(
        self,
        repair: Repair,
        way: Route | Audience,
        datagram: bytes,
        peer: Peer,
        now: float,
        clock: int,
    ) -> None:
        to = peer if isinstance(way, Audience) else None
        if isinstance(way, Audience) and peer not in way.subscribers:
            raise MalformedError("stranger")
        self._asked_at = now
        self._again += repair.receive(datagram, now, clock, to)
        self._news.set()

    async def _send_again(self, outgoing: Outgoing) -> None:
        datagram, to = outgoing
        await self._room()
        for way in self.ways:
            if isinstance(way, Route):
                if to is None:
                    way.send(datagram)
            elif to is not None and to in way.subscribers:
                way.transport.sendto(datagram, to)

    async def _send_run(self, run: Sequence[bytes]) -> None:
        if self._sender is None:
            await self._out(run)
        elif len(run) == 1:
            await self._out(self._sender.send(run, self._loop.time(), time.time_ns()))
        else:
            batch, parity = self._sender.send_batch(run, self._loop.time(), time.time_ns())
            await self._room()
            for way in self.ways:
                way.send_run(batch.buffer, batch.size)
            self.datagrams += batch.count
            self.bytes += len(batch.buffer)
            if parity:
                await self._out(parity)

    async def _out(self, datagrams: Sequence[bytes]) -> None:
        for datagram in datagrams:
            await self._room()
            for way in self.ways:
                way.send(datagram)
            self.datagrams += 1
            self.bytes += len(datagram)

    async def _room(self) -> None:
        """Wait until all ways take more; who does not await in between sends it at once."""
        while held_up := [way for way in self.ways if not way.free]:
            for way in held_up:
                await way.room()

    def _fit(self, size: int) -> int:
        """How many payloads of this size go out as one batch."""
        whole = max(1, self.whole(size))
        if self._sender is not None and not self._sender.sealed:
            return min(MOST, MOST_BYTES // whole)
        # As a call takes. Seals take long, and nothing else runs meanwhile.
        return max(1, min(SEGMENTS, LONGEST // whole))

    def _most(self, size: int) -> int:
        """How many payloads of this size may go out together, at this rate."""
        if self._rate is None:
            return self._fit(size)
        steady = self._rate.per_second * BURST / self._rate.cost(1, max(1, self.whole(size)))
        return max(1, min(self._fit(size), int(steady)))

    async def _afford(self, bucket: Bucket, datagrams: int, size: int) -> None:
        assert self._rate is not None
        cost = self._rate.cost(datagrams, self.whole(size))
        await asyncio.sleep(bucket.delay(self._loop.time(), cost))  # the pace of the rate
        bucket.spend(self._loop.time(), cost)

    def _is_quiet(self) -> bool:
        return self._repair is None or self._loop.time() - self._asked_at >= QUIET

    def _deadline(self) -> float | None:
        """When a core has something to do."""
        now = self._loop.time()
        due = [self._sender.deadline] if self._sender else []
        due += [self._repair.deadline(now)] if self._repair else []
        if self._repair and not self._is_quiet():
            due.append(self._asked_at + QUIET)
        return min((each for each in due if each is not None), default=None)


def runs(payloads: Sequence[bytes], most: Callable[[int], int]) -> Iterator[Sequence[bytes]]:
    """Cut into runs of equal length, of at most so many as `most` says of that length."""
    whole = len(payloads)
    size = len(payloads[0]) if payloads else 0
    if not [each for each in payloads if len(each) != size]:  # the fastest way to see it
        limit = most(size)  # all alike: what a fast source sends
        for start in range(0, whole, limit):
            yield payloads[start : start + limit]
        return
    sizes = list(map(len, payloads))
    start, before, limit = 0, -1, 0
    while start < whole:
        size = sizes[start]
        if size != before:
            before, limit = size, most(size)
        alike = sizes[start : start + limit]
        count = len(alike)
        if alike.count(size) < count:
            count = next(at for at, each in enumerate(alike) if each != size)
        yield payloads[start : start + count]
        start += count


def _log(events: Iterable[Event]) -> None:
    for event in events:
        level = logging.DEBUG if event.change == "renewed" else logging.INFO
        log.log(level, "subscriber %s:%s %s", *event.peer[:2], event.change)
