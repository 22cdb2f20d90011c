"""When to ask the sender for what is missing, so that many listeners don't ask at once.

What is missing waits in rounds. A round that is due is asked for, and then waits again,
twice as long each time, until it has been asked for `tries` times in vain. Each wait is
drawn at random from half to one and a half of its nominal time. Who hears that another listener
has asked (*asked*) waits as if it had asked itself: so of many listeners that miss
the same, most stay silent.

Rounds that are due at nearly the same time become one. There are about a dozen for
each try, however much is missing.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from netkit.feeds.ranges import MOST_RANGES, Range, RangeSet

MOST_NUMBERS = 1024
"""Numbers in one ask: a sender need not look at more (see `netkit.servers.broadcast.repair`)."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long, how often and how fast to ask.

    With these, and 5 % of asks and of repairs lost, less than one of 10¹² missing numbers
    is given up (0.0975¹²), about 2.5 seconds after it was missed.
    """

    delay: float = 0.02
    """Seconds before the first ask: more than datagrams overtake each other, and much more
    than it takes until others hear of an ask."""
    most_delay: float = 0.25
    """Seconds to which the doubling leads: longer ones would hold back more than they help."""
    tries: int = 12
    """Asks for one number, those of others that were heard included."""
    rate: float = 1000.0
    """Asks a second, of all feeds of a listener together. One for more than 64 numbers counts
    in proportion, so that after a long outage the sender isn't asked for all at once."""
    burst: int = 16
    """Asks at once."""


class Pace:
    """So many asks a second (the generic cell rate algorithm of ITU-T I.371)."""

    def __init__(self, patience: Patience) -> None:
        self._interval = 1 / patience.rate
        self._slack = self._interval * (patience.burst - 1)
        self._at = 0.0

    def free(self) -> float:
        """From when on the next may go."""
        return self._at - self._slack

    def take(self, now: float, numbers: int) -> None:
        """One for so many numbers goes now."""
        self._at = max(self._at, now) + self._interval * max(1.0, numbers / MOST_RANGES)


@dataclass(slots=True)
class _Round:
    """Numbers that wait together."""

    numbers: RangeSet
    tries: int
    due: float
    ours: bool
    """Waits for the answer to our own ask: the next *asked* is that, and not another's ask."""


class Asking:
    """What is to be asked for in one feed. What is still missing, `Order.missing` knows."""

    def __init__(self, patience: Patience, rng: random.Random, pace: Pace) -> None:
        self.deadline: float | None = None
        """When `tick` has something to do."""
        self.sent = 0
        """Asks."""
        self.suppressed = 0
        """Numbers that we need not ask for, since another did."""
        self._patience = patience
        self._rng = rng
        self._pace = pace
        self._rounds: list[_Round] = []
        self._asked = RangeSet()

    def notice(self, gap: Range, now: float) -> None:
        """Hear of numbers that are missing."""
        self._wait([gap], 0, False, now)

    def came(self, number: int) -> bool:
        """Hear that a missing one came; whether it had been asked for, by us or another."""
        return self._asked.discard(number) > 0

    def heard(self, ranges: Iterable[Range], missing: RangeSet, now: float) -> None:
        """Hear from the sender that somebody has asked for these."""
        named = [part for each in ranges for part in missing.overlap(each.first, each.count)]
        self._remember(named)
        moved = []
        for waiting in self._rounds:
            parts = _overlaps(waiting.numbers, named)
            for part in parts:
                waiting.numbers.discard(part.first, part.count)
            if parts:
                moved.append((waiting, parts))
        for waiting, parts in moved:
            if waiting.ours:
                self._join(parts, waiting.tries, False, waiting.due, 0.0)
            else:
                self.suppressed += sum(part.count for part in parts)
                self._wait(parts, waiting.tries + 1, False, now)
        self._rearm()

    def tick(
        self, missing: RangeSet, askable: int, now: float
    ) -> tuple[list[list[Range]], list[Range]]:
        """What to ask for now, a list for each datagram; and what is given up.

        Numbers below `askable` have left the sender's window: they are forgotten here.
        """
        asks: list[list[Range]] = []
        given_up: list[Range] = []
        due = self._take_due(now)
        for waiting in due:
            waiting.numbers.discard(0, askable)
            if waiting.tries >= self._patience.tries:
                given_up += _overlaps(missing, waiting.numbers)
            else:
                asks += self._ask(waiting, missing, now)
        if due:
            self._asked.discard(0, missing.lowest.first if missing else 2**64)
            self._rearm()
        self.sent += len(asks)
        return asks, given_up

    def _take_due(self, now: float) -> list[_Round]:
        """Take the rounds out that are due, those of as many tries as one."""
        due: dict[int, _Round] = {}
        for waiting in self._rounds:
            if waiting.due <= now:
                other = due.setdefault(waiting.tries, waiting)
                if other is not waiting:
                    due[waiting.tries] = _merged(waiting, other)
        self._rounds = [waiting for waiting in self._rounds if waiting.due > now]
        return list(due.values())

    def _ask(self, waiting: _Round, missing: RangeSet, now: float) -> list[list[Range]]:
        """Ask for as much as the pace allows; the rest waits until it allows more."""
        asks = []
        while waiting.numbers and now >= self._pace.free():
            ask = _portion(waiting.numbers, missing)
            if ask:
                asks.append(ask)
                self._pace.take(now, sum(each.count for each in ask))
                self._remember(ask)
                self._wait(ask, waiting.tries + 1, True, now)
        if waiting.numbers:
            waiting.due, waiting.ours = self._pace.free(), False
            self._rounds.append(waiting)
        return asks

    def _remember(self, ranges: Iterable[Range]) -> None:
        for each in ranges:
            self._asked.add(each.first, each.count)

    def _wait(self, ranges: list[Range], tries: int, ours: bool, now: float) -> None:
        nominal = min(self._patience.delay * 2 ** min(tries, 32), self._patience.most_delay)
        due = now + nominal * (0.5 + self._rng.random())
        self._join(ranges, tries, ours, due, nominal / 4)

    def _join(
        self, ranges: Iterable[Range], tries: int, ours: bool, due: float, slack: float
    ) -> None:
        """Have these wait with those that are due within `slack` of it."""
        for waiting in self._rounds:
            alike = waiting.tries == tries and waiting.ours == ours
            if alike and abs(waiting.due - due) <= slack:
                break
        else:
            waiting = _Round(RangeSet(), tries, due, ours)
            self._rounds.append(waiting)
            self.deadline = due if self.deadline is None else min(self.deadline, due)
        for each in ranges:
            waiting.numbers.add(each.first, each.count)

    def _rearm(self) -> None:
        self._rounds = [waiting for waiting in self._rounds if waiting.numbers]
        self.deadline = min((waiting.due for waiting in self._rounds), default=None)


def _overlaps(numbers: RangeSet, ranges: Iterable[Range]) -> list[Range]:
    return [part for each in ranges for part in numbers.overlap(each.first, each.count)]


def _merged(one: _Round, other: _Round) -> _Round:
    if one.numbers.pieces < other.numbers.pieces:
        one, other = other, one
    for each in other.numbers:
        one.numbers.add(each.first, each.count)
    return one


def _portion(numbers: RangeSet, missing: RangeSet) -> list[Range]:
    """Take the lowest out, as many as one ask may have; those of them that are still missing."""
    portion: list[Range] = []
    room = MOST_NUMBERS
    for each in numbers:
        for part in missing.overlap(each.first, each.count):
            portion.append(Range(part.first, min(part.count, room)))
            room -= portion[-1].count
            if not room or len(portion) == MOST_RANGES:
                numbers.discard(0, portion[-1].stop)
                return portion
    numbers.discard(0, 2**64)
    return portion
