"""One feed: datagrams in; payloads in order, losses and asks out.

A number further ahead than `MOST_JUMP` is believed when a second one from thereabouts
comes (RFC 3550, appendix A.1): else a single one that is forged or broken would make
everything below it late.
"""

from __future__ import annotations

from typing import NamedTuple

from netkit.clients.listen.asking import Asking
from netkit.clients.listen.common import Common
from netkit.clients.listen.events import (
    Address,
    Begun,
    Delivered,
    DeliveredRun,
    End,
    Ended,
    Event,
    How,
    Identity,
    Lost,
)
from netkit.clients.listen.order import Order, Place
from netkit.clients.listen.source import Source
from netkit.clients.listen.statistics import Counts, Statistics
from netkit.feeds import ranges
from netkit.feeds.format import SIZE, Flag, Header, Kind, MalformedError
from netkit.feeds.parity import Restored, Restorer
from netkit.feeds.ranges import Range, RangeSet

MOST_JUMP = 2**20
"""Numbers: a second of the fastest feeds. Real outages of that length are confirmed at once."""
OVERHEAD = 256
"""Bytes of memory beside the payload that a datagram held back takes."""


class _Arrival(NamedTuple):
    """Data or a heartbeat, or data computed from parity."""

    header: Header
    payload: bytes
    address: Address
    now: float
    arrived: int
    restored: bool = False


class Feed:
    """One sender's numbers from one start of it.

    After each call there may be something in `take` and, after `tick`, in `outgoing`.
    `now` is seconds of the loop's clock, `arrived` nanoseconds of Unix time.
    """

    def __init__(self, identity: Identity, common: Common, address: Address, now: float) -> None:
        self.identity = identity
        self.counts = Counts()
        self.statistics = Statistics()
        self.order: Order[Delivered | DeliveredRun] = Order(common.room, common.hold)
        self.asking = Asking(common.patience, common.rng, common.pace)
        self.heard = now
        """When something came last."""
        self.ended = False
        self.source = Source(address, now, repair=common.repair)
        self._furthest = 0  # highest number of data
        self._last: int | None = None
        self._asked_early = RangeSet(most=ranges.MOST_RANGES)
        self._doubted: _Arrival | None = None
        self._restorer: Restorer | None = None  # from the first parity on
        self._asks: list[list[Range]] = []
        self._begun: list[Event] = []
        self._over: list[Event] = []

    @property
    def deadline(self) -> float | None:
        """When to call `tick`, if nothing comes before."""
        held = self.order.deadline(self.source.askable)
        asking = self.asking.deadline
        if held is None or asking is None:
            return asking if held is None else held
        return min(held, asking)

    def begin(self, first: int, address: Address, now: float) -> None:
        """Count numbers from this one on. `receive` does so at the first that it hears."""
        if not self.order.started:
            self.order.start(first)
            self.source.began(address, now)
            self._begun.append(Begun(self.identity, first, address))

    def receive(
        self, header: Header, payload: bytes, address: Address, now: float, arrived: int
    ) -> None:
        """Hear of a datagram to listeners. Raises `MalformedError`: it is to be counted."""
        kind, sequence, time = header.kind, header.sequence, header.time
        if kind is Kind.DATA and self.run(
            sequence, 1, len(payload), (time, time), header.extra, address, now, arrived
        ):
            self.order.ready.append(
                Delivered(self.identity, sequence, time, arrived, payload, address, How.DIRECT)
            )
            return
        self.heard = now
        match kind:
            case Kind.ASKED:
                self._hear_asked(header, payload, now)
            case Kind.PARITY:
                self._hear_parity(header, payload, address, now, arrived)
            case _:
                self._check(header, payload)
                self._arrive(_Arrival(header, payload, address, now, arrived))
        self._settle()

    def run(
        self, first: int, count: int, size: int, times: tuple[int, int], extra: int,
        address: Address, now: float, arrived: int,
    ) -> bool:  # fmt: skip
        """Hear at once of `count` data that the caller has checked and delivers itself.

        They are numbered from `first` on, of `size` bytes of payload together, the first and the
        last sent at `times`; `extra` is the last one's. False, and nothing is changed, unless
        they are exactly what comes next, nothing is missing and no parity is sent: then `receive`
        each.
        """
        if self._last is not None or self._restorer or not self.order.run(first, count):
            return False
        last = first + count - 1
        self.source.keeps(last, extra)
        self._count_run(last, count, size, times, address, now, arrived)
        return True

    def run_ahead(self, run: DeliveredRun, times: tuple[int, int], extra: int, now: float) -> bool:
        """Hear at once of data that is held back here until what is missing before it has come.

        False, and nothing is changed, unless it is beyond all that was known and within belief.
        """
        order, first = self.order, run.first
        if self._last is not None or self._restorer or not order.started:
            return False
        if not order.highest < first <= order.highest + MOST_JUMP:
            return False
        last, size = first + run.count - 1, len(run.datagrams)
        self.source.keeps(last, extra)
        self._expect(first - 1, now)
        order.follow(run.count, run, size + OVERHEAD)
        payload = size - run.count * SIZE
        self._count_run(last, run.count, payload, times, run.source, now, run.arrived)
        return True

    def tick(self, now: float) -> None:
        """Let time pass: give up what waited too long, ask for what is due."""
        self.order.expire(self.source.askable, now)
        asks, given_up = self.asking.tick(self.order.missing, self.source.askable, now)
        self._asks += asks
        self.order.give_up(given_up)
        self._settle()

    def close(self, why: End) -> None:
        """End: whatever is missing is lost."""
        self.order.close()
        self.counts.doubted += self._doubted is not None
        self._doubted = None
        if not self.ended:
            self._end(why)

    def take(self) -> list[Event]:
        """What there is to tell, in order; each is told once."""
        ready, self.order.ready = self.order.ready, []
        told: list[Event] = [
            Lost(self.identity, each.first, each.count) if isinstance(each, Range) else each
            for each in ready
        ]
        if self._begun or self._over:
            told = [*self._begun, *told, *self._over]
            self._begun, self._over = [], []
        return told

    def outgoing(self, time: int) -> list[bytes]:
        """Asks to send to `source.address` now, `time` being nanoseconds of Unix time."""
        asks, self._asks = self._asks, []
        sender, epoch = self.identity
        return [
            Header(Kind.ASK, sender, epoch, 0, time, len(each)).pack() + ranges.pack(each)
            for each in asks
        ]

    def _check(self, header: Header, payload: bytes) -> None:
        if header.kind is Kind.DATA and header.sequence == 0:
            raise MalformedError("sequence")
        if header.kind is Kind.HEARTBEAT and payload:
            raise MalformedError("payload")
        if self._last is not None and header.sequence > self._last:
            raise MalformedError("ended")

    def _arrive(self, it: _Arrival) -> None:
        """Take what came, unless its number is beyond belief."""
        if self.order.started and it.header.sequence > self.order.highest + MOST_JUMP:
            before, self._doubted = self._doubted, it
            if before is None or abs(it.header.sequence - before.header.sequence) > MOST_JUMP:
                self.counts.doubted += before is not None
                return
            self._doubted = None
            self._believe(before)
        self._believe(it)

    def _believe(self, it: _Arrival) -> None:
        if it.header.kind is Kind.HEARTBEAT:
            self._hear_heartbeat(it.header, it.address, it.now)
        else:
            self._hear_data(it)
            if self._restorer and not it.restored:
                datagram = it.header.pack() + it.payload
                kept = self._restorer.keep(it.header.sequence, 1, datagram, len(datagram))
                self._restore(kept, it)

    def _hear_data(self, it: _Arrival) -> None:
        order, sequence = self.order, it.header.sequence
        if not order.started and sequence in self._asked_early:  # repeated for somebody else
            self.counts.earlier += 1
            return
        self.begin(sequence, it.address, it.now)
        how = How.RESTORED if it.restored else How.DIRECT
        if sequence > order.highest:
            if not it.restored:
                self.source.keeps(sequence, it.header.extra)
            self._expect(sequence - 1, it.now)
        elif self.asking.came(sequence) and not it.restored:
            how = How.REPAIRED
        item = Delivered(
            self.identity, sequence, it.header.time, it.arrived, it.payload, it.address, how
        )
        place = order.add(sequence, item, len(it.payload) + OVERHEAD, it.now)
        fresh = place is Place.FRESH or place is Place.FILLING
        self.source.heard(it.address, it.now, fresh=fresh)
        if fresh:
            self._count(item, it.now)
        elif place is Place.DUPLICATE:
            self.counts.duplicates += 1
        elif place is Place.LATE:
            self.counts.late += 1
        else:
            self.counts.earlier += 1

    def _hear_parity(
        self, header: Header, payload: bytes, address: Address, now: float, arrived: int
    ) -> None:
        if not self._restorer:
            # What came of this block until now was not kept; parity helps from the next one on.
            self._restorer = Restorer(datagrams=2048, blocks=32, size=4 * 1024 * 1024)
        it = _Arrival(header, payload, address, now, arrived)
        self._restore(self._restorer.parity(header.sequence, header.extra, payload), it)

    def _restore(self, restored: list[Restored], cause: _Arrival) -> None:
        for each in restored:
            if not self.order.started or each.sequence > (self._last or each.sequence):
                continue
            header = Header(Kind.DATA, *self.identity, each.sequence, each.time)
            self._arrive(cause._replace(header=header, payload=each.payload, restored=True))

    def _hear_heartbeat(self, header: Header, address: Address, now: float) -> None:
        last = header.sequence
        self.begin(last + 1, address, now)
        self.source.heard(address, now, fresh=False)
        self.source.keeps(last, header.extra)
        if header.flags & Flag.END and last >= self.order.highest:
            self._last = last
        self._expect(last, now)

    def _hear_asked(self, header: Header, payload: bytes, now: float) -> None:
        named = ranges.unpack(payload, header.extra)
        if not self.source.newly_asked(header.time):
            self.counts.replayed += 1
        elif self.order.started:
            self.asking.heard(named, self.order.missing, now)
        else:
            for each in named:
                self._asked_early.add(each.first, each.count)

    def _expect(self, last: int, now: float) -> None:
        before = self.order.highest
        if last > before:
            self.order.expect(last, now)
            if last >= self.source.askable:
                self.asking.notice(Range(before + 1, last - before), now)

    def _count_run(
        self, last: int, count: int, size: int, times: tuple[int, int],
        address: Address, now: float, arrived: int,
    ) -> None:  # fmt: skip
        self.heard = now
        self._furthest = last
        self.source.heard(address, now, fresh=True)
        self.counts.bytes += size
        self.statistics.run(count, size, *times, arrived, now)

    def _count(self, item: Delivered, now: float) -> None:
        counts = self.counts
        counts.bytes += len(item.payload)
        if item.how is How.REPAIRED:
            counts.repaired += 1
        elif item.how is How.RESTORED:
            counts.restored += 1
        elif item.sequence < self._furthest:
            counts.reordered += 1
        self._furthest = max(self._furthest, item.sequence)
        direct = item.how is How.DIRECT
        self.statistics.add(len(item.payload), item.time, item.arrived, now, direct=direct)

    def _settle(self) -> None:
        if self._last is not None and self.order.next > self._last and not self.ended:
            self._end(End.ENDED)

    def _end(self, why: End) -> None:
        self.ended = True
        self._over.append(Ended(self.identity, why))
