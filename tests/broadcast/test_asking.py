"""Asks in virtual time: who asks when, who stays silent, and that in the end nothing is missing."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from netkit.clients.listen.asking import MOST_NUMBERS, Asking, Pace, Patience
from netkit.clients.listen.common import Common
from netkit.clients.listen.events import End
from netkit.feeds.format import Kind
from netkit.feeds.ranges import MOST_RANGES, Range, RangeSet
from tests.broadcast.simulation import Link, Listener, Network, Source

PATIENCE = Patience(delay=1.0, most_delay=8.0, tries=3, rate=100.0, burst=2)
LATER = 1000.0


class Middle(random.Random):
    """Draws the middle of whatever it is asked for: each wait is its nominal time."""

    def random(self) -> float:
        return 0.5


def asking(patience: Patience = PATIENCE) -> Asking:
    return Asking(patience, Middle(), Pace(patience))


def test_it_asks_after_a_delay_that_doubles_and_gives_up() -> None:
    it, missing = asking(), RangeSet([Range(5, 2), Range(9, 1)])
    it.notice(Range(5, 2), 0.0)
    it.notice(Range(9, 1), 0.1)
    told = []
    while it.deadline is not None:
        told.append((it.deadline, *it.tick(missing, 0, it.deadline)))
    wanted = [Range(5, 2), Range(9, 1)]
    asks = [(at, ask) for at, ask, _ in told if ask]
    assert asks == [(1.0, [wanted]), (3.0, [wanted]), (7.0, [wanted])]
    assert told[-1] == (15.0, [], wanted)
    assert it.sent == 3


def test_it_does_not_ask_for_what_came_meanwhile() -> None:
    it, missing = asking(), RangeSet([Range(5, 3)])
    it.notice(Range(5, 3), 0.0)
    missing.discard(6)
    assert it.tick(missing, 0, 1.0) == ([[Range(5, 1), Range(7, 1)]], [])
    assert (it.came(5), it.came(6)) == (True, False)
    assert it.tick(RangeSet(), 0, LATER) == ([], [])
    assert it.deadline is None


def test_it_does_not_ask_before_its_time() -> None:
    it = asking()
    it.notice(Range(5, 1), 0.0)
    assert it.tick(RangeSet([Range(5, 1)]), 0, 0.99) == ([], [])
    assert it.deadline == 1.0


def test_it_does_not_ask_for_what_has_left_the_window() -> None:
    it, missing = asking(), RangeSet([Range(5, 10)])
    it.notice(Range(5, 10), 0.0)
    assert it.tick(missing, 12, 1.0) == ([[Range(12, 3)]], [])
    assert it.tick(missing, 20, LATER) == ([], [])


def test_it_stays_silent_where_another_has_asked() -> None:
    it, missing = asking(), RangeSet([Range(5, 1), Range(8, 1)])
    it.notice(Range(5, 1), 0.0)
    it.notice(Range(8, 1), 0.0)
    it.heard([Range(4, 3)], missing, 0.5)
    assert it.suppressed == 1
    assert it.came(5)  # asked for, though not by us
    assert it.tick(missing, 0, 1.0) == ([[Range(8, 1)]], [])
    assert it.tick(missing, 0, 2.5) == ([[Range(5, 1)]], [])  # as if asked at 0.5


def test_the_answer_to_its_own_ask_is_not_anothers_ask() -> None:
    it, missing = asking(), RangeSet([Range(5, 1)])
    it.notice(Range(5, 1), 0.0)
    it.tick(missing, 0, 1.0)
    it.heard([Range(5, 1)], missing, 1.1)
    assert (it.suppressed, it.deadline) == (0, 3.0)
    it.heard([Range(5, 1)], missing, 1.2)  # but the next one is
    assert (it.suppressed, it.deadline) == (1, 5.2)


def test_who_only_hears_others_ask_gives_up_as_well() -> None:
    it, missing = asking(), RangeSet([Range(5, 1)])
    it.notice(Range(5, 1), 0.0)
    for at in (0.1, 0.2, 0.3):
        it.heard([Range(5, 1)], missing, at)
    assert it.deadline == 8.3
    assert it.tick(missing, 0, 8.3) == ([], [Range(5, 1)])


def test_an_ask_is_bounded_and_so_is_their_rate() -> None:
    it = asking()
    missing = RangeSet(Range(number, 1) for number in range(0, 400, 2))
    for each in missing:
        it.notice(each, 0.0)
    asks, _ = it.tick(missing, 0, 1.0)
    assert [len(ask) for ask in asks] == [MOST_RANGES] * 2  # the burst
    assert it.deadline == pytest.approx(1.01)
    assert it.deadline is not None
    asks, _ = it.tick(missing, 0, it.deadline)
    assert [len(ask) for ask in asks] == [MOST_RANGES]
    assert it.deadline == pytest.approx(1.02)


def test_a_large_gap_is_asked_for_in_portions() -> None:
    it, missing = asking(), RangeSet([Range(5, 2**32)])
    it.notice(Range(5, 2**32), 0.0)
    now, asked = 1.0, RangeSet()
    for _ in range(20):
        asks, given_up = it.tick(missing, 0, now)
        assert not given_up
        for ask in asks:
            assert sum(each.count for each in ask) <= MOST_NUMBERS
            for each in ask:
                asked.add(each.first, each.count)
        assert it.deadline is not None
        now = it.deadline
    assert asked.count <= (now - 1.0) * PATIENCE.rate * MOST_RANGES + 2 * MOST_NUMBERS
    assert asked.pieces == 1
    assert len(it._rounds) < 10


def test_many_rounds_become_few() -> None:
    patience = Patience()
    it = Asking(patience, random.Random(1), Pace(patience))
    missing, most = RangeSet(), 0
    for step in range(20_000):  # a gap each 0.1 ms, and nobody answers
        now = step * 0.0001
        missing.add(step * 2)
        it.notice(Range(step * 2, 1), now)
        it.tick(missing, 0, now)
        most = max(most, len(it._rounds))
    assert most < 150


def simulate(
    count: int, listeners: int = 1, *, shared: bool = False, rate: float = 50_000.0
) -> Network:
    """5 % loss either way, some datagrams doubled and some out of order."""
    rng = random.Random(20)
    lossy = Link(rng, loss=0.05, reordered=0.02, duplicated=0.01)
    clean = Link(rng, delay=0.0)
    heard = [Listener(Common(random.Random(seed))) for seed in range(listeners)]
    down = [clean if shared else lossy] * listeners
    up = Link(rng, loss=0.05)
    network = Network(Source(), heard, lossy if shared else clean, down, up)
    network.run(count, rate)
    return network


def test_with_loss_both_ways_everything_is_delivered_in_order(
    record_property: Callable[[str, object], None],
) -> None:
    network = simulate(100_000)
    (listener,) = network.listeners
    feed = listener.feed
    assert listener.delivered == 100_000  # `hear` has checked the order
    assert not listener.lost
    assert [event.why for event in listener.ended] == [End.ENDED]
    assert 4_500 < feed.counts.repaired < 5_500
    sent = network.source.sent
    overhead = sum(sent.values()) / (sent[Kind.DATA] - 96 * network.source.repair.counts.resent) - 1
    record_property("overhead", f"{overhead:.2%}")
    assert overhead < 0.08  # the resends alone are 0.05 / 0.95 = 5.3 %
    assert network.source.repair.counts.gone == 0
    assert listener.feeds.deadline is None


def test_listeners_that_miss_the_same_do_not_all_ask() -> None:
    alone = simulate(10_000, shared=True, rate=10_000.0)
    ten = simulate(10_000, listeners=10, shared=True, rate=10_000.0)
    for listener in ten.listeners:
        assert (listener.delivered, listener.lost) == (10_000, [])
    # Without suppression it would be ten times as many numbers.
    assert ten.source.asked.total() < 3 * alone.source.asked.total()
    assert all(listener.feed.asking.suppressed > 200 for listener in ten.listeners)
    assert ten.source.repair.counts.resent < 1.2 * alone.source.repair.counts.resent


def test_listeners_that_miss_different_ones_all_get_theirs() -> None:
    network = simulate(5_000, listeners=3, rate=10_000.0)
    for listener in network.listeners:
        assert (listener.delivered, listener.lost) == (5_000, [])


def test_an_outage_longer_than_one_ask_is_repaired() -> None:
    rng = random.Random(3)
    link = Outage(rng, since=0.1, until=0.3)
    network = Network(Source(), [Listener(Common(rng))], link, [Link(rng, delay=0.0)], Link(rng))
    network.run(50_000, 50_000.0)
    (listener,) = network.listeners
    assert (listener.delivered, listener.lost) == (50_000, [])
    assert listener.feed.counts.repaired == 10_000


class Outage(Link):
    """Loses everything for a while."""

    def __init__(self, rng: random.Random, since: float, until: float) -> None:
        super().__init__(rng)
        self.since, self.until = since, until

    def arrivals(self, now: float) -> list[float]:
        return [] if self.since <= now < self.until else super().arrivals(now)
