"""Numbers as they come; items in order as they go, and what is lost for good between them.

The rules:

- The first number heard begins the feed; nothing before it is delivered or counted as lost.
- What comes behind a gap is held back until the gap closes or is given up.
- A gap is given up when it can't be asked for (any more) and `hold` seconds have passed
  since it was noticed; when asking gave up; when the room for what is held back is full;
  when the feed is closed. It is counted as lost once, when it is passed, and told there.
- What comes after it was given up is counted as late and not delivered; the count of
  the lost stays. So what really never came is `lost` less `late`.

Nothing here grows with the size of a gap: what is missing are ranges, at most
one for each item held back, and those have a bound.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic, TypeVar

from netkit.feeds.ranges import Range, RangeSet

T = TypeVar("T")

LOST_REMEMBERED = 4096
"""Ranges given up of which we still know that one coming now is late and no duplicate."""


@dataclass(slots=True)
class Room:
    """What all feeds of one listener may hold back together, and how much of it is taken."""

    datagrams: int = 131_072
    bytes: int = 128 * 1024 * 1024
    held: int = 0
    held_bytes: int = 0

    @property
    def overfull(self) -> bool:
        """Whether something must go."""
        return self.held > self.datagrams or self.held_bytes > self.bytes


class Place(Enum):
    """What a number turned out to be."""

    FRESH = auto()
    """Beyond all that were known of."""
    FILLING = auto()
    """One that was missing."""
    DUPLICATE = auto()
    """Came before."""
    LATE = auto()
    """Was given up before it came."""
    EARLIER = auto()
    """From before the first number that was heard."""


class Order(Generic[T]):
    """One feed's numbers. What can be delivered gathers in `ready`; the caller takes it out."""

    def __init__(self, room: Room, hold: float) -> None:
        self.ready: list[T | Range] = []
        """Items in order; a `Range` stands for numbers lost for good at that place."""
        self.missing = RangeSet(most=room.datagrams + 2)
        """Numbers that have been sent, have not come, and are not given up and passed."""
        self.started = False
        self.first = self.next = 0
        """The feed's first number for us; the one to be delivered next."""
        self.highest = 0
        """The last number known to have been sent."""
        self.delivered = self.lost = 0
        self._room = room
        self._hold = hold
        self._held: dict[int, tuple[T, int, int]] = {}  # item, its numbers, its size
        self._noticed: deque[tuple[int, float]] = deque()  # last number of a gap, when noticed
        self._given_up = RangeSet(most=room.datagrams + 2)
        self._lost = RangeSet(most=LOST_REMEMBERED)

    def start(self, first: int) -> None:
        """Begin with this number, and count those from it on that don't come as lost."""
        self.started = True
        self.first = self.next = first
        self.highest = first - 1

    def add(self, number: int, item: T, size: int, now: float) -> Place:
        """Hear of one; `size` is what it counts for in `Room.bytes`, `now` is in seconds."""
        if not self.started:
            self.start(number)
        if number > self.highest:
            self.expect(number - 1, now)
            self.highest = number
            if number == self.next:  # nothing is open
                self._deliver(item)
            else:
                self._keep(number, item, size)
            return Place.FRESH
        if number < self.next:
            return self._passed(number)
        if not self.missing.discard(number):
            return Place.DUPLICATE
        if number == self.next:
            self._deliver(item)
            self._advance()
        else:
            self._keep(number, item, size)
        return Place.FILLING

    def run(self, first: int, count: int) -> bool:
        """Hear of `count` numbers that the caller delivers itself, in one step.

        False, and nothing is changed, unless they are exactly the next and nothing is open.
        """
        if first != self.next or self.highest >= first or not self.started:
            return False
        self.next += count
        self.highest += count
        self.delivered += count
        return True

    def follow(self, count: int, item: T, size: int) -> None:
        """Hear of the `count` numbers behind `highest`, which `item` stands for together.

        Before the first of them, gaps may be open; `size` is as in `add`.
        """
        first = self.highest + 1
        self.highest += count
        if first == self.next:
            self._deliver(item, count)
        else:
            self._keep(first, item, size, count)

    def expect(self, last: int, now: float) -> None:
        """Hear that all numbers through `last` have been sent."""
        if not self.started:
            self.start(last + 1)
        if last <= self.highest:
            return
        self.missing.add(self.highest + 1, last - self.highest)
        self._noticed.append((last, now))
        self.highest = last
        self._make_room()

    def give_up(self, ranges: list[Range]) -> None:
        """Wait no longer for these. One that comes before its turn is delivered all the same."""
        for each in ranges:
            for part in self.missing.overlap(each.first, each.count):
                self._given_up.add(part.first, part.count)
        self._advance()

    def expire(self, askable: int, now: float) -> None:
        """Give up what was held up long enough, of numbers below `askable`."""
        while self.missing and now >= self._noticed[0][1] + self._hold:
            head = self.missing.lowest
            last = min(self._noticed[0][0], head.stop - 1, askable - 1)
            if last < self.next:
                break
            self._lose(last)
            self._advance()

    def deadline(self, askable: int) -> float | None:
        """When `expire` with this `askable` has something to do, if ever."""
        if not self._noticed or self.next >= askable:
            return None
        return self._noticed[0][1] + self._hold

    def close(self) -> None:
        """Give up all that is missing."""
        while self.missing:
            self._lose(self.missing.lowest.stop - 1)
            self._advance()

    def _deliver(self, item: T, count: int = 1) -> None:
        self.ready.append(item)
        self.next += count
        self.delivered += count

    def _keep(self, number: int, item: T, size: int, count: int = 1) -> None:
        self._held[number] = (item, count, size)
        self._room.held += count
        self._room.held_bytes += size
        self._make_room()

    def _make_room(self) -> None:
        # The gaps' own bound matters only where heartbeats alone make them.
        while self.missing and (
            self._room.overfull or len(self._noticed) > self._room.datagrams + 1
        ):
            self._lose(self.missing.lowest.stop - 1)
            self._advance()

    def _lose(self, last: int) -> None:
        """Pass the missing numbers from `next` through `last`."""
        gap = Range(self.next, last + 1 - self.next)
        self.missing.discard(gap.first, gap.count)
        self._lost.add(gap.first, gap.count)
        self.lost += gap.count
        self.ready.append(gap)
        self.next = gap.stop

    def _advance(self) -> None:
        """Deliver what need not wait any more."""
        while True:
            while held := self._held.pop(self.next, None):
                item, count, size = held
                self._room.held -= count
                self._room.held_bytes -= size
                self._deliver(item, count)
            if not self._given_up:
                break
            self._given_up.discard(0, self.next)
            gap = self.missing.lowest.count if self.missing else 0
            hopeless = self._given_up.overlap(self.next, gap)
            if not hopeless or hopeless[0].first != self.next:
                break
            self._lose(hopeless[0].stop - 1)
        while self._noticed and self._noticed[0][0] < self.next:
            self._noticed.popleft()

    def _passed(self, number: int) -> Place:
        if number < self.first:
            return Place.EARLIER
        return Place.LATE if self._lost.discard(number) else Place.DUPLICATE
