"""One timer for many deadlines, on a loop that is only a clock."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.deadlines import Deadlines


class Timer:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """`time` and `call_at`, and nothing else of a loop."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, int, Timer, Callable[..., object], tuple[Any, ...]]] = []
        self.made = 0

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Callable[..., object], *args: Any) -> Timer:
        timer = Timer()
        self.made += 1
        heapq.heappush(self.timers, (when, self.made, timer, call, args))
        return timer

    def go_to(self, moment: float) -> None:
        while self.timers and self.timers[0][0] <= moment:
            when, _, timer, call, args = heapq.heappop(self.timers)
            self.now = max(self.now, when)
            if not timer.cancelled:
                call(*args)
        self.now = moment


class Told:
    """Deadlines, and when each was told to be late."""

    def __init__(self) -> None:
        self.clock = Clock()
        loop: Any = self.clock
        self.late: list[tuple[str, float]] = []
        self.deadlines = Deadlines[str](self.hear, loop)

    def hear(self, who: str) -> None:
        self.late.append((who, self.clock.now))


def test_each_is_told_at_its_own_time_and_one_timer_is_enough() -> None:
    told = Told()
    for number in range(100):
        told.deadlines.begin(str(number), 110.0 + number)
    assert told.clock.made == 1
    for number in range(2, 100):
        told.deadlines.end(str(number))
    told.clock.go_to(500.0)
    assert told.late == [("0", 110.0), ("1", 111.0)]
    assert told.clock.made == 2


def test_whoever_comes_late_with_an_early_deadline_is_told_in_time() -> None:
    told = Told()
    told.deadlines.begin("one that began at once", 110.0)
    told.deadlines.begin("a proxy's", 105.0)
    told.deadlines.begin("another proxy's", 106.0)
    told.deadlines.end("another proxy's")
    told.clock.go_to(500.0)
    assert told.late == [("a proxy's", 105.0), ("one that began at once", 110.0)]


def test_one_that_is_late_may_end_another() -> None:
    told = Told()
    loop: Any = told.clock
    deadlines: Deadlines[str]

    def late(who: str) -> None:
        told.hear(who)
        deadlines.end("its brother")

    deadlines = Deadlines(late, loop)
    deadlines.begin("one", 110.0)
    deadlines.begin("its brother", 110.0)
    told.clock.go_to(500.0)
    assert told.late == [("one", 110.0)]


def test_an_error_keeps_no_other_waiting() -> None:
    told = Told()
    loop: Any = told.clock

    def late(who: str) -> None:
        told.hear(who)
        raise RuntimeError(who)

    deadlines = Deadlines[str](late, loop)
    for who in ("one", "its brother"):
        deadlines.begin(who, 110.0)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            told.clock.go_to(110.0)
    assert [who for who, _ in told.late] == ["one", "its brother"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcdef"), st.integers(0, 20), st.one_of(st.none(), st.integers(0, 20))
        ),
        max_size=20,
    )
)
def test_nobody_is_told_who_has_ended_and_nobody_else_is_left_out(
    plan: list[tuple[str, int, int | None]],
) -> None:
    """Each begins with a deadline so far away, and ends after so long or never."""
    told = Told()
    expected = []
    ends: list[tuple[float, str]] = []
    for number, (letter, wait, lasts) in enumerate(plan):
        who = f"{letter}{number}"
        told.deadlines.begin(who, 101.0 + wait)
        if lasts is None or lasts > wait:
            expected.append((101.0 + wait, who))
        if lasts is not None:
            ends.append((100.5 + lasts, who))
    for moment, who in sorted(ends):
        told.clock.go_to(moment)
        told.deadlines.end(who)
    told.clock.go_to(1000.0)
    assert sorted((when, who) for who, when in told.late) == sorted(expected)
