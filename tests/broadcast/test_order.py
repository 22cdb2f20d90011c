"""Numbers in, items in order out: as transcripts, and against a model."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.clients.listen.order import Order, Place, Room
from netkit.feeds.ranges import Range

HOLD = 0.1
NONE_ASKABLE = 2**64


def order(datagrams: int = 1000, size: int = 10**6) -> Order[int]:
    return Order(Room(datagrams, size), HOLD)


def feed(it: Order[int], *numbers: int, now: float = 0.0) -> list[Place]:
    return [it.add(number, number, 1, now) for number in numbers]


def taken(it: Order[int]) -> list[int | Range]:
    ready, it.ready = it.ready, []
    return ready


def test_in_order_nothing_waits() -> None:
    it = order()
    assert feed(it, 1, 2, 3) == [Place.FRESH] * 3
    assert taken(it) == [1, 2, 3]
    assert it.deadline(NONE_ASKABLE) is None


def test_what_follows_a_gap_waits_until_it_closes() -> None:
    it = order()
    assert feed(it, 1, 3, 4, 6) == [Place.FRESH] * 4
    assert taken(it) == [1]
    assert list(it.missing) == [Range(2, 1), Range(5, 1)]
    assert feed(it, 2) == [Place.FILLING]
    assert taken(it) == [2, 3, 4]
    assert feed(it, 5) == [Place.FILLING]
    assert taken(it) == [5, 6]
    assert (it.delivered, it.lost, it.missing.count) == (6, 0, 0)


def test_a_gap_is_lost_once_its_time_is_over() -> None:
    it = order()
    feed(it, 1, 4, now=1.0)
    feed(it, 7, now=1.05)
    assert it.deadline(NONE_ASKABLE) == 1.0 + HOLD
    it.expire(NONE_ASKABLE, 1.0 + HOLD / 2)
    assert taken(it) == [1]
    it.expire(NONE_ASKABLE, 1.0 + HOLD)
    assert taken(it) == [Range(2, 2), 4]
    assert it.lost == 2
    assert it.deadline(NONE_ASKABLE) == 1.05 + HOLD
    it.expire(NONE_ASKABLE, 1.05 + HOLD)
    assert taken(it) == [Range(5, 2), 7]
    assert it.lost == 4
    assert it.deadline(NONE_ASKABLE) is None


def test_what_may_be_asked_for_waits_beyond_that() -> None:
    it = order()
    feed(it, 1, 4, now=0.0)
    assert it.deadline(askable=3) == HOLD
    it.expire(3, 9.0)
    assert taken(it) == [1, Range(2, 1)]
    assert it.deadline(askable=3) is None
    it.expire(4, 9.0)  # the sender's window has moved on
    assert taken(it) == [Range(3, 1), 4]


def test_what_asking_gave_up_is_lost_at_its_turn() -> None:
    it = order()
    feed(it, 1, 3, 6, 7)
    it.give_up([Range(4, 2)])
    assert taken(it) == [1]
    assert it.lost == 0
    feed(it, 5)  # given up, and comes before its turn
    it.give_up([Range(2, 1)])
    assert taken(it) == [Range(2, 1), 3, Range(4, 1), 5, 6, 7]
    assert it.lost == 2


def test_giving_up_what_is_not_missing_changes_nothing() -> None:
    it = order()
    feed(it, 5, 7)
    it.give_up([Range(1, 3), Range(7, 100)])
    assert taken(it) == [5]
    feed(it, 6)
    assert taken(it) == [6, 7]


def test_late_ones_are_counted_once_and_stay_lost() -> None:
    it = order()
    feed(it, 1, 3)
    it.close()
    assert taken(it) == [1, Range(2, 1), 3]
    assert feed(it, 2, 2, 1, 3) == [Place.LATE] + [Place.DUPLICATE] * 3
    assert (it.lost, it.delivered) == (1, 2)
    assert not taken(it)


def test_duplicates_delivered_and_held() -> None:
    it = order()
    assert feed(it, 1, 1, 3, 3) == [Place.FRESH, Place.DUPLICATE, Place.FRESH, Place.DUPLICATE]
    assert taken(it) == [1]


def test_a_feed_begins_at_the_first_number_heard() -> None:
    it = order()
    assert feed(it, 1000, 998) == [Place.FRESH, Place.EARLIER]
    it.close()
    assert taken(it) == [1000]
    assert it.lost == 0


def test_a_heartbeat_shows_a_lost_end() -> None:
    it = order()
    feed(it, 1, 2)
    it.expect(5, 1.0)
    it.expect(5, 1.2)
    it.expire(NONE_ASKABLE, 1.0 + HOLD)
    assert taken(it) == [1, 2, Range(3, 3)]
    it.expect(4, 2.0)  # an old one
    assert it.missing.count == 0


def test_a_heartbeat_heard_first_begins_behind_its_number() -> None:
    it = order()
    it.expect(41, 0.0)
    assert feed(it, 42, 41) == [Place.FRESH, Place.EARLIER]
    assert taken(it) == [42]


@pytest.mark.parametrize(("datagrams", "size"), [(3, 1000), (1000, 3)])
def test_without_room_the_oldest_gap_is_given_up(datagrams: int, size: int) -> None:
    it = order(datagrams, size)
    feed(it, 1, 3, 5, 6)
    assert taken(it) == [1]
    feed(it, 7)
    assert taken(it) == [Range(2, 1), 3]
    assert list(it.missing) == [Range(4, 1)]


def test_one_item_larger_than_all_room_goes_through() -> None:
    room = Room(10, 100)
    it: Order[int] = Order(room, HOLD)
    it.add(1, 1, 50, 0.0)
    it.add(4, 4, 500, 0.0)
    assert taken(it) == [1, Range(2, 2), 4]
    assert (room.held, room.held_bytes) == (0, 0)


def test_room_is_shared() -> None:
    room = Room(2, 1000)
    one: Order[int] = Order(room, HOLD)
    other: Order[int] = Order(room, HOLD)
    feed(one, 1, 3, 4)
    feed(other, 1, 3)
    assert taken(other) == [1, Range(2, 1), 3]
    assert taken(one) == [1]
    one.close()
    assert room.held == 0


def test_heartbeats_alone_make_no_endless_list_of_gaps() -> None:
    it = order(datagrams=10)
    feed(it, 1)
    for last in range(2, 1000):
        it.expect(last, 0.0)
    assert len(it._noticed) <= 12
    assert it.lost + it.missing.count == 998


def test_a_jump_takes_no_memory() -> None:
    it = order()
    feed(it, 1, 2**40, 2**63)
    assert it.missing.pieces == 2
    it.close()
    assert taken(it) == [1, Range(2, 2**40 - 2), 2**40, Range(2**40 + 1, 2**63 - 2**40 - 1), 2**63]
    assert it.lost == 2**63 - 3


def test_a_run_is_taken_only_where_nothing_is_open() -> None:
    it = order()
    assert not it.run(1, 5)  # not begun: the slow path does that
    feed(it, 1)
    assert it.run(2, 4)
    assert not it.run(7, 2)
    feed(it, 8)
    assert not it.run(9, 2)
    assert not it.run(6, 2)
    feed(it, 6, 7)
    assert it.run(9, 2)
    assert (it.delivered, it.highest) == (10, 10)


def test_one_item_for_many_numbers_waits_in_its_place() -> None:
    room = Room(100, 1000)
    it: Order[int] = Order(room, HOLD)
    it.add(1, 1, 1, 0.0)
    it.expect(3, 0.0)
    it.follow(4, 47, 400)
    it.expect(8, 0.0)
    it.follow(2, 910, 200)
    assert taken(it) == [1]
    assert (room.held, room.held_bytes) == (6, 600)
    assert it.add(6, 6, 1, 0.0) is Place.DUPLICATE
    it.add(2, 2, 1, 0.0)
    it.add(3, 3, 1, 0.0)
    assert taken(it) == [2, 3, 47]
    it.close()
    assert taken(it) == [Range(8, 1), 910]
    it.follow(2, 1112, 200)  # nothing is open: at once
    assert taken(it) == [1112]
    assert (it.delivered, it.lost, it.next, room.held) == (11, 1, 13, 0)


def test_items_for_many_numbers_are_bounded_too() -> None:
    room = Room(100, 10_000)
    it: Order[int] = Order(room, HOLD)
    it.add(1, 1, 1, 0.0)
    for number in range(10, 1000, 60):  # each behind a gap of ten
        it.expect(number + 9, 0.0)
        it.follow(50, number, 50)
        assert room.held <= 150
    assert it.lost > 0


ARRIVALS = st.lists(st.integers(1, 40), max_size=80)


@given(ARRIVALS, st.integers(0, 45), st.integers(0, 40))
def test_whatever_comes_each_number_is_told_once_in_order(
    arrivals: list[int], last: int, room: int
) -> None:
    it = order(datagrams=room)
    places = [it.add(number, number, 1, 0.0) for number in arrivals]
    it.expect(last, 0.0)
    it.close()
    told = list[int]()
    delivered = list[int]()
    for each in taken(it):
        told += range(each.first, each.stop) if isinstance(each, Range) else [each]
        delivered += [] if isinstance(each, Range) else [each]
    first = arrivals[0] if arrivals else last + 1
    assert told == list(range(first, max([last, *arrivals]) + 1))
    assert it.delivered == len(delivered) == places.count(Place.FRESH) + places.count(Place.FILLING)
    assert it.lost == len(told) - len(delivered)
    heard = {number for number in arrivals if number >= first}
    assert it.lost - places.count(Place.LATE) == len(set(told) - heard)
    assert (it._room.held, it._room.held_bytes, it.missing.count) == (0, 0, 0)


@given(st.integers(0, 2**32), st.integers(1, 20))
def test_with_room_and_time_only_what_never_came_is_lost(seed: int, spread: int) -> None:
    rng = random.Random(seed)
    sent = range(1, 301)
    coming = [number for number in sent if number == 1 or rng.random() > 0.1]
    coming += [number for number in coming if rng.random() < 0.1]
    coming.sort(key=lambda number: number + rng.random() * spread * (number > 1))
    it = order()
    places = [it.add(number, number, 1, 0.0) for number in coming]
    it.expect(300, 0.0)
    it.close()
    assert it.lost == 300 - len(set(coming))
    assert places.count(Place.DUPLICATE) == len(coming) - len(set(coming))
    assert Place.LATE not in places
