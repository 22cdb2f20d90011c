"""Sequence numbers as ranges: what is missing, what is asked for.

A gap costs the same whether it is of one number or of 2⁴⁰, so that nobody can make
a listener or a sender allocate by writing a large number into a datagram.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from netkit.feeds.format import MalformedError

MOST_RANGES = 64
"""Ranges in one datagram."""
MOST_COUNT = 2**32 - 1
"""Numbers in one range of a datagram."""
_PAIR = struct.Struct(">QI")


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """`count` consecutive numbers from `first` on."""

    first: int
    count: int

    @property
    def stop(self) -> int:
        """The number behind the last."""
        return self.first + self.count


def pack(ranges: Iterable[Range]) -> bytes:
    """As they are sent, 12 bytes each. `batches` keeps to what one datagram may hold."""
    return b"".join(_PAIR.pack(each.first, each.count) for each in ranges)


def unpack(payload: bytes | memoryview, count: int) -> list[Range]:
    """The `count` ranges of an ask or asked.

    Raises `MalformedError` with `slug` ``ranges`` where they are not as specified.
    """
    if not 1 <= count <= MOST_RANGES or len(payload) != count * _PAIR.size:
        raise MalformedError("ranges")
    ranges = [Range(*pair) for pair in _PAIR.iter_unpack(payload)]
    if not all(each.count and each.stop <= 2**64 for each in ranges):
        raise MalformedError("ranges")
    return ranges


def batches(ranges: Iterable[Range]) -> Iterator[list[Range]]:
    """The same numbers in lists that fit into one datagram each."""
    batch: list[Range] = []
    for each in ranges:
        for first in range(each.first, each.stop, MOST_COUNT):
            batch.append(Range(first, min(MOST_COUNT, each.stop - first)))
            if len(batch) == MOST_RANGES:
                yield batch
                batch = []
    if batch:
        yield batch


class RangeSet:
    """A set of numbers that takes memory by its ranges.

    It is bounded: of more than `most` separate ranges it forgets the lowest. Looking up
    takes logarithmic time; a change in the middle moves what is behind it, as in a list.
    Iterating gives its ranges, ascending, neither overlapping nor touching.
    """

    __slots__ = ("_most", "_starts", "_stops", "count")

    def __init__(self, ranges: Iterable[Range] = (), *, most: int = 65_536) -> None:
        self.count = 0
        """How many numbers are in it. No `__len__`: that is limited to 2⁶³."""
        self._most = most
        self._starts: list[int] = []
        self._stops: list[int] = []
        for each in ranges:
            self.add(each.first, each.count)

    def __bool__(self) -> bool:
        return bool(self._starts)

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._starts, number) - 1
        return at >= 0 and number < self._stops[at]

    def __iter__(self) -> Iterator[Range]:
        for first, stop in zip(self._starts, self._stops, strict=True):
            yield Range(first, stop - first)

    def __repr__(self) -> str:
        return f"RangeSet({list(self)})"

    @property
    def pieces(self) -> int:
        """How many separate ranges."""
        return len(self._starts)

    @property
    def lowest(self) -> Range:
        """The first range; raises `IndexError` if there is none."""
        return Range(self._starts[0], self._stops[0] - self._starts[0])

    def add(self, first: int, count: int = 1) -> None:
        """Have these numbers in it."""
        stop = first + count
        low = bisect_left(self._stops, first)  # touching ranges become one
        high = bisect_right(self._starts, stop)
        if low < high:
            first = min(first, self._starts[low])
            stop = max(stop, self._stops[high - 1])
        self._replace(low, high, [(first, stop)])
        if len(self._starts) > self._most:
            self._replace(0, 1, [])

    def discard(self, first: int, count: int = 1) -> int:
        """Have none of these numbers in it; return how many were."""
        before = self.count
        stop = first + count
        low = bisect_right(self._stops, first)
        high = bisect_left(self._starts, stop)
        if low < high:
            left, right = self._starts[low], self._stops[high - 1]
            kept = [(left, first)] if left < first else []
            if stop < right:
                kept.append((stop, right))
            self._replace(low, high, kept)
            if len(self._starts) > self._most:
                self._replace(0, 1, [])
        return before - self.count

    def overlap(self, first: int, count: int) -> list[Range]:
        """Those of these numbers that are in it."""
        stop = first + count
        low = bisect_right(self._stops, first)
        high = bisect_left(self._starts, stop)
        found = []
        for at in range(low, high):
            start = max(first, self._starts[at])
            found.append(Range(start, min(stop, self._stops[at]) - start))
        return found

    def _replace(self, low: int, high: int, pairs: list[tuple[int, int]]) -> None:
        gone = sum(self._stops[low:high]) - sum(self._starts[low:high])
        self._starts[low:high] = [first for first, _ in pairs]
        self._stops[low:high] = [stop for _, stop in pairs]
        self.count += sum(stop - first for first, stop in pairs) - gone
