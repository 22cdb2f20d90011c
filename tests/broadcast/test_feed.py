"""One feed as a transcript, and the fast path beside the slow one."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from netkit.clients.listen.common import Common
from netkit.clients.listen.events import Begun, Delivered, End, Ended, Event, How, Identity, Lost
from netkit.clients.listen.feed import MOST_JUMP, Feed
from netkit.clients.listen.order import Room
from netkit.clients.listen.source import SILENT
from netkit.feeds import ranges
from netkit.feeds.format import SIZE, Flag, Header, Kind, MalformedError, unpack
from netkit.feeds.parity import Parity
from netkit.feeds.ranges import Range
from tests.broadcast.simulation import ADDRESS, EPOCH, SENDER, Link, Listener, Network, Source

IDENTITY = Identity(SENDER, EPOCH)
ELSEWHERE = ("192.0.2.99", 9)


def feed(common: Common | None = None) -> Feed:
    return Feed(IDENTITY, common or Common(random.Random(1)), ADDRESS, 0.0)


def data(number: int, extra: int = 0, time: int = 0) -> Header:
    return Header(Kind.DATA, *IDENTITY, number, time, extra)


def heartbeat(last: int, extra: int = 0, *, end: bool = False) -> Header:
    return Header(Kind.HEARTBEAT, *IDENTITY, last, 0, extra, Flag.END if end else Flag(0))


def asked(it: Feed, *named: Range, time: int, now: float = 0.0) -> None:
    header = Header(Kind.ASKED, *IDENTITY, 0, time, len(named))
    it.receive(header, ranges.pack(named), ADDRESS, now, 0)


def hear(it: Feed, *headers: Header, now: float = 0.0) -> list[str]:
    """What is told then, in short."""
    for header in headers:
        payload = b"payload" if header.kind is Kind.DATA else b""
        it.receive(header, payload, ADDRESS, now, 0)
    return short(it.take())


def short(events: Iterable[Event]) -> list[str]:
    told = []
    for event in events:
        match event:
            case Begun(first=first):
                told.append(f"from {first}")
            case Delivered(sequence=number, how=how):
                told.append(str(number) if how is How.DIRECT else f"{number} {how.value}")
            case Lost(first=first, count=count):
                told.append(f"{count} lost from {first}")
            case Ended(why=why):
                told.append(why.value)
    return told


def elapse(it: Feed, seconds: float = 60.0) -> tuple[list[str], list[list[Range]]]:
    """Tick whenever it wants; what is told, and what is asked for."""
    told, asks = [], []
    while (at := it.deadline) is not None and at <= seconds:
        it.tick(at)
        told += short(it.take())
        for ask in it.outgoing(7):
            header = unpack(ask)
            assert (header.kind, header.sender, header.epoch) == (Kind.ASK, SENDER, EPOCH)
            assert (header.sequence, header.time) == (0, 7)
            asks.append(ranges.unpack(ask[SIZE:], header.extra))
    return told, asks


def test_what_is_delivered_carries_all_that_is_known() -> None:
    it = feed()
    it.receive(data(4, time=1000), b"hello", ADDRESS, 0.0, 3000)
    begun, delivered = it.take()
    assert begun == Begun(IDENTITY, 4, ADDRESS)
    assert delivered == Delivered(IDENTITY, 4, 1000, 3000, b"hello", ADDRESS, How.DIRECT)
    assert it.statistics.latency.most == 2000
    assert it.take() == []


def test_without_repair_a_gap_is_lost_after_the_hold_time() -> None:
    it = feed()
    assert hear(it, data(1), data(2), data(5)) == ["from 1", "1", "2"]
    assert it.deadline == pytest.approx(0.1)
    assert elapse(it) == (["2 lost from 3", "5"], [])
    assert (it.order.delivered, it.order.lost) == (3, 2)


def test_with_repair_it_asks_and_repairs() -> None:
    it = feed()
    assert hear(it, data(1), data(2, 1), data(5, 4)) == ["from 1", "1", "2"]
    _, asks = elapse(it, 0.05)
    assert asks[0] == [Range(3, 2)]
    assert hear(it, data(3, 2), data(4, 3), now=0.06) == ["3 repaired", "4 repaired", "5"]
    assert (it.counts.repaired, it.counts.reordered) == (2, 0)
    assert elapse(it) == ([], [])


def test_what_nobody_answers_is_lost_in_the_end() -> None:
    it = feed()
    hear(it, data(1), data(4, 3))
    told, asks = elapse(it)
    assert asks == [[Range(2, 2)]] * 12
    assert told == ["2 lost from 2", "4"]


def test_what_has_left_the_window_is_lost() -> None:
    it = feed()
    hear(it, data(1), data(4, 3))
    assert elapse(it, 0.15)[1]
    assert hear(it, *(data(number, 3) for number in range(5, 8)), now=0.2) == []
    told, _ = elapse(it, 0.21)
    assert told == ["2 lost from 2", "4", "5", "6", "7"]
    assert elapse(it) == ([], [])


def test_asking_can_be_left_out() -> None:
    it = feed(Common(random.Random(1), repair=False))
    hear(it, data(1), data(4, 3))
    assert elapse(it) == (["2 lost from 2", "4"], [])


def test_the_end_of_a_feed_is_repaired_too() -> None:
    it = feed()
    assert hear(it, data(1), data(2, 1), heartbeat(4, 4, end=True)) == ["from 1", "1", "2"]
    _, asks = elapse(it, 0.05)
    assert asks[0] == [Range(3, 2)]
    assert hear(it, data(4, 3), data(3, 2)) == ["3 repaired", "4 repaired", "ended"]
    assert hear(it, heartbeat(4, 4, end=True)) == []
    with pytest.raises(MalformedError, match="ended"):
        hear(it, data(5, 4))


def test_an_end_that_nothing_follows_settles_the_loss() -> None:
    it = feed()
    hear(it, data(1), heartbeat(3, end=True))
    assert elapse(it) == (["2 lost from 2", "ended"], [])


def test_an_end_before_what_was_heard_is_none() -> None:
    it = feed()
    assert hear(it, data(1), data(2), heartbeat(1, end=True)) == ["from 1", "1", "2"]
    assert hear(it, data(3)) == ["3"]


def test_closing_settles_the_rest() -> None:
    it = feed()
    hear(it, data(1), data(4, 3), data(5 + MOST_JUMP, 2))
    it.close(End.CLOSED)
    assert short(it.take()) == ["2 lost from 2", "4", "closed"]
    assert it.counts.doubted == 1
    assert it.deadline is not None  # a round that finds nothing to do
    assert elapse(it) == ([], [])


def test_each_datagram_counts_as_one_thing() -> None:
    it = feed(Common(random.Random(1), repair=False))
    hear(it, data(10), data(10), data(9), data(13), data(12), data(12), data(15))
    elapse(it)
    hear(it, data(11), data(11), data(14))
    counts = it.counts
    assert counts.duplicates == 3
    assert counts.earlier == 1
    assert counts.reordered == 1
    assert counts.late == 2
    assert (it.order.delivered, it.order.lost) == (4, 2)


def test_overtaken_by_a_heartbeat_is_not_out_of_order() -> None:
    it = feed()
    assert hear(it, data(1), heartbeat(2), data(2)) == ["from 1", "1", "2"]
    assert it.counts.reordered == 0


def test_a_repetition_for_another_does_not_begin_a_feed() -> None:
    it = feed()
    asked(it, Range(100, 2), time=1)
    assert hear(it, data(100, 50), data(101, 50)) == []
    assert hear(it, data(500, 50)) == ["from 500", "500"]
    assert it.counts.earlier == 2


def test_what_another_asked_for_counts_as_repaired() -> None:
    it = feed()
    hear(it, data(1), data(3, 2))
    asked(it, Range(2, 1), time=1)
    assert hear(it, data(2, 1)) == ["2 repaired", "3"]


def test_an_old_asked_does_not_keep_us_silent() -> None:
    it = feed()
    hear(it, data(1), data(3, 2))
    asked(it, Range(2, 1), time=5)
    asked(it, Range(2, 1), time=5)
    asked(it, Range(2, 1), time=4)
    assert (it.counts.replayed, it.asking.suppressed) == (2, 1)


def test_a_single_number_far_ahead_is_not_believed() -> None:
    it = feed()
    headers = (data(1), data(2**40), data(2), data(2**50), data(3))
    assert hear(it, *headers) == ["from 1", "1", "2", "3"]
    assert (it.order.highest, it.counts.doubted) == (3, 1)


def test_a_second_one_from_there_confirms_it() -> None:
    it = feed()
    far = 2**40
    hear(it, data(1), data(far))
    assert hear(it, data(far + 2)) == []
    told, _ = elapse(it)
    assert told == [f"{far - 2} lost from 2", f"{far}", f"1 lost from {far + 1}", f"{far + 2}"]
    assert it.counts.doubted == 0


def test_heartbeats_confirm_an_outage() -> None:
    it = feed()
    hear(it, data(1), heartbeat(2**30), heartbeat(2**30))
    assert elapse(it)[0] == [f"{2**30 - 1} lost from 2"]


@pytest.mark.parametrize(
    ("header", "payload", "slug"),
    [
        (data(0), b"", "sequence"),
        (heartbeat(1), b"x", "payload"),
        (Header(Kind.ASKED, *IDENTITY, 0, 1, 2), b"x", "ranges"),
        (Header(Kind.PARITY, *IDENTITY, 1, 1, 0), b"x", "parity"),
    ],
)
def test_malformed(header: Header, payload: bytes, slug: str) -> None:
    with pytest.raises(MalformedError) as caught:
        feed().receive(header, payload, ADDRESS, 0.0, 0)
    assert caught.value.slug == slug


def test_asks_follow_a_sender_that_moved() -> None:
    it = feed()
    hear(it, data(1))
    it.receive(data(2), b"", ELSEWHERE, 1.0, 0)  # a second address: the first is still fresh
    assert (it.source.address, it.source.moves) == (ADDRESS, 0)
    it.receive(data(2), b"", ELSEWHERE, SILENT + 0.1, 0)  # a replay
    it.receive(heartbeat(2), b"", ELSEWHERE, SILENT + 0.1, 0)
    assert it.source.address == ADDRESS
    it.receive(data(3), b"", ELSEWHERE, SILENT + 0.1, 0)
    assert (it.source.address, it.source.moves) == (ELSEWHERE, 1)


def test_parity_restores_what_is_lost_in_its_block() -> None:
    rng = random.Random(2)
    source = Source(parity=Parity(4))
    listener = Listener(Common(rng, repair=False))
    network = Network(source, [listener], Link(rng), [Swallow(rng, {9, 14, 18, 19})], Link(rng))
    network.run(20, 1000.0)
    assert listener.feed.counts.restored == 2
    assert [(lost.first, lost.count) for lost in listener.lost] == [(18, 2)]
    assert listener.delivered == 18


class Swallow(Link):
    """Loses the datagrams of these positions, counted from 1 and parity left out."""

    def __init__(self, rng: random.Random, positions: set[int]) -> None:
        super().__init__(rng)
        self.positions, self.count = positions, 0

    def arrivals(self, now: float) -> list[float]:
        self.count += 1
        blocks, within = divmod(self.count - 1, 5)
        data = within < 4
        return [] if data and blocks * 4 + within + 1 in self.positions else super().arrivals(now)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32))
def test_without_repair_the_loss_is_the_networks_to_the_datagram(seed: int) -> None:
    rng = random.Random(seed)
    link = Link(rng, loss=0.2, reordered=0.2, duplicated=0.2)
    listener = Listener(Common(rng, repair=False))
    listener.hear(listener.feeds.subscribed(IDENTITY, 1, ADDRESS, 0.0))
    network = Network(Source(), [listener], link, [Link(rng, delay=0.0)], Link(rng))
    network.run(300, 1000.0)
    assume(listener.ended)  # unless every heartbeat was lost as well
    assert listener.feed.order.lost == network.lost[Kind.DATA]
    assert listener.delivered == 300 - network.lost[Kind.DATA]
    assert listener.feed.counts.late == 0


Steps = list[tuple[str, int]]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.integers(1, 64)),
        st.tuples(st.just("skip"), st.integers(1, 3)),
        st.tuples(st.just("back"), st.integers(1, 5)),
        st.tuples(st.just("beat"), st.integers(0, 2)),
        st.tuples(st.just("wait"), st.integers(1, 200)),
    ),
    max_size=20,
)


@settings(deadline=None)
@given(STEPS, st.integers(0, 40), st.integers(0, 10**6))
def test_a_run_is_the_same_as_its_datagrams(steps: Steps, extra: int, step: int) -> None:
    one, other = feed(), feed()
    told_one = follow(one, steps, extra, step, by_runs=False)
    told_other = follow(other, steps, extra, step, by_runs=True)
    assert told_one == told_other
    assert one.counts == other.counts
    assert one.source.askable == other.source.askable
    assert list(one.order.missing) == list(other.order.missing)
    assert (one.order.delivered, one.order.lost) == (other.order.delivered, other.order.lost)
    assert one.statistics.rate.read(99.0) == other.statistics.rate.read(99.0)
    assert one.statistics.latency.count == other.statistics.latency.count
    assert one.statistics.latency.least == other.statistics.latency.least
    assert one.statistics.latency.most == other.statistics.latency.most
    wanted = pytest.approx(one.statistics.jitter.value, rel=1e-9, abs=1e-3)
    assert other.statistics.jitter.value == wanted
    assert one.deadline == other.deadline


def follow(it: Feed, steps: Steps, extra: int, step: int, *, by_runs: bool) -> list[str]:
    """What is delivered, whichever way; a run's datagrams are delivered by us."""
    told, number, now = hear(it, data(1, extra)), 2, 0.0
    for what, amount in steps:
        arrived = int(now * 1e9)
        match what:
            case "run":
                stop = number + amount
                times = (step * number, step * (stop - 1))
                size = 7 * amount
                if by_runs and it.run(number, amount, size, times, extra, ADDRESS, now, arrived):
                    told += map(str, range(number, stop))
                else:
                    for each in range(number, stop):
                        header = data(each, extra, step * each)
                        it.receive(header, b"payload", ADDRESS, now, arrived)
                number = stop
            case "skip":
                number += amount
            case "back":
                told += hear(it, data(max(1, number - amount), extra), now=now)
            case "beat":
                told += hear(it, heartbeat(number - 1 + amount, extra), now=now)
            case "wait":
                now += amount / 1000
                it.tick(now)
                it.outgoing(0)
        told += short(it.take())
    return told


def test_a_run_is_refused_where_it_is_not_what_comes_next() -> None:
    it = feed()
    assert not it.run(1, 5, 5, (0, 0), 0, ADDRESS, 0.0, 0)
    hear(it, data(1))
    assert it.run(2, 5, 5, (0, 0), 0, ADDRESS, 0.0, 0)
    assert not it.run(2, 5, 5, (0, 0), 0, ADDRESS, 0.0, 0)
    assert not it.run(8, 5, 5, (0, 0), 0, ADDRESS, 0.0, 0)
    hear(it, heartbeat(6, end=True))
    assert not it.run(7, 5, 5, (0, 0), 0, ADDRESS, 0.0, 0)


def test_held_back_datagrams_are_bounded() -> None:
    room = Room(datagrams=100, bytes=10**6)
    it = feed(Common(random.Random(1), room=room))
    hear(it, data(1))
    for number in range(3, 5000):
        hear(it, data(number, 4000))
    assert room.held <= 100
    assert it.order.lost == 1
