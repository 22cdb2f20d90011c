"""Ranges against a plain set of numbers, and as they are sent."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.feeds.format import MalformedError
from netkit.feeds.ranges import MOST_COUNT, Range, RangeSet, batches, pack, unpack

NUMBERS = st.integers(0, 60)
STEPS = st.lists(st.tuples(st.booleans(), NUMBERS, st.integers(1, 12)))


@given(STEPS, NUMBERS, st.integers(1, 20))
def test_it_is_a_set(steps: list[tuple[bool, int, int]], first: int, count: int) -> None:
    ranges, model = RangeSet(), set[int]()
    for adding, start, length in steps:
        numbers = set(range(start, start + length))
        if adding:
            ranges.add(start, length)
            model |= numbers
        else:
            assert ranges.discard(start, length) == len(model & numbers)
            model -= numbers
        assert ranges.count == len(model)
    assert {number for number in range(80) if number in ranges} == model
    assert numbers_of(list(ranges)) == sorted(model)
    assert bool(ranges) == bool(model)
    inside = sorted(model & set(range(first, first + count)))
    assert numbers_of(ranges.overlap(first, count)) == inside
    if model:
        assert ranges.lowest.first == min(model)


@given(STEPS)
def test_its_ranges_neither_overlap_nor_touch(steps: list[tuple[bool, int, int]]) -> None:
    ranges = RangeSet(Range(first, count) for _, first, count in steps)
    parts = list(ranges)
    assert ranges.pieces == len(parts)
    assert all(one.stop < other.first for one, other in itertools.pairwise(parts))


def numbers_of(ranges: list[Range]) -> list[int]:
    return [number for each in ranges for number in range(each.first, each.stop)]


def test_a_large_gap_takes_no_more_than_a_small_one() -> None:
    ranges = RangeSet([Range(1, 2**64)])
    ranges.discard(2**40)
    assert ranges.pieces == 2
    assert ranges.count == 2**64 - 1


def test_beyond_its_bound_it_forgets_the_lowest() -> None:
    ranges = RangeSet((Range(first, 1) for first in range(0, 10, 2)), most=3)
    assert list(ranges) == [Range(4, 1), Range(6, 1), Range(8, 1)]
    ranges = RangeSet([Range(0, 10), Range(20, 10)], most=2)
    ranges.discard(25)
    assert list(ranges) == [Range(20, 5), Range(26, 4)]
    assert ranges.count == 9


@given(st.lists(st.builds(Range, NUMBERS, st.integers(1, 2**32 - 1)), min_size=1, max_size=64))
def test_what_is_sent_is_what_is_read(ranges: list[Range]) -> None:
    assert len(pack(ranges)) == 12 * len(ranges)
    assert unpack(pack(ranges), len(ranges)) == ranges


def test_the_bytes_of_a_range() -> None:
    assert pack([Range(0x0102030405060708, 9)]).hex() == "010203040506070800000009"
    assert unpack(pack([Range(2**64 - 1, 1)]), 1) == [Range(2**64 - 1, 1)]


@pytest.mark.parametrize(
    ("payload", "count"),
    [
        (b"", 0),
        (bytes(12), 1),  # no number at all
        (pack([Range(1, 1)]), 2),
        (pack([Range(1, 1)]) + b"\0", 1),
        (pack([Range(1, 1)])[:-1], 1),
        (pack([Range(1, 1)]) * 65, 65),
        (pack([Range(2**64 - 1, 2)]), 1),  # runs beyond 64 bits
        (pack([Range(1, 1)]), 2**32 - 1),
    ],
)
def test_malformed_ranges(payload: bytes, count: int) -> None:
    with pytest.raises(MalformedError) as caught:
        unpack(payload, count)
    assert caught.value.slug == "ranges"


def test_batches_fit_into_a_datagram() -> None:
    many = [Range(first, 1) for first in range(0, 300, 2)]
    assert [len(batch) for batch in batches(many)] == [64, 64, 22]
    assert [each for batch in batches(many) for each in batch] == many
    huge = list(batches([Range(5, 2 * MOST_COUNT + 1)]))
    assert [each.count for each in huge[0]] == [MOST_COUNT, MOST_COUNT, 1]
    assert unpack(pack(huge[0]), 3) == huge[0]
    assert not list(batches([]))
