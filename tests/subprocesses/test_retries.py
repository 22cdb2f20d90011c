"""When a job that failed is started again."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from netkit.subprocesses.events import End
from netkit.subprocesses.retries import Retries

FAILED, FINE = End(1, None, 0.0), End(0, None, 0.0)


def test_as_often_as_is_asked() -> None:
    policy = Retries(2)
    assert [policy.wanted(FAILED, attempt) for attempt in (1, 2, 3)] == [True, True, False]
    assert not policy.wanted(FINE, 1)


def test_only_on_chosen_codes() -> None:
    policy = Retries(5, on=frozenset({75, 137}))
    assert policy.wanted(End(75, None, 0.0), 1)
    assert policy.wanted(End(None, 9, 0.0), 1)
    assert not policy.wanted(FAILED, 1)


def test_not_what_was_cancelled() -> None:
    assert not Retries(5).wanted(End(None, 15, 0.0, reason="cancelled"), 1)


@given(st.integers(1, 10_000), st.floats(0.01, 10), st.floats(0.01, 100))
def test_the_back_off_grows_to_its_bound(attempt: int, first: float, most: float) -> None:
    whole = min(most, first * 2 ** min(attempt - 1, 60))
    delay = Retries(1, first=first, most=most).delay(attempt, random.Random(1))
    assert whole / 2 <= delay <= whole
