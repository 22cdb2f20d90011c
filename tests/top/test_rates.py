"""Rates from two samples: what a server said first, what it said then, what that comes to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.cli.top.rates import Sample, compared, rate
from tests.top.samples import connection, sample, worker


def rates_of_connections(before: Sample | None, now: Sample) -> list[list[float | None]]:
    return [list(row.rates.values()) for row in compared(before, now).connections]


def rates_of_workers(before: Sample | None, now: Sample) -> list[list[float | None]]:
    return [list(row.rates.values()) for row in compared(before, now).workers]


def test_the_first_sample_has_no_rates() -> None:
    picture = compared(None, sample(9, worker(1, 9, accepted=5), connection(1, 9, 10, 20)))
    assert picture.rates == {"accepted": None, "received": None, "sent": None}
    assert picture.workers[0].rates == {"accepted": None, "received": None, "sent": None}
    assert picture.connections[0].rates == {"received": None, "sent": None}
    assert picture.counters["accepted"] == 5


def test_growth_is_per_second_of_the_connections_own_age() -> None:
    before = sample(10, connection(1, 4.0, 100, 1000))
    now = sample(12, connection(1, 6.5, 150, 1000))
    assert rates_of_connections(before, now) == [[20.0, 0.0]]


def test_a_newcomer_began_at_nothing() -> None:
    before = sample(10, worker(1, 10))
    now = sample(12, worker(1, 12), connection(1, 0.5, 100, 200))
    assert rates_of_connections(before, now) == [[50.0, 100.0]]


def test_one_that_is_gone_is_not_shown() -> None:
    before = sample(10, connection(1, 4.0), connection(2, 4.0))
    now = sample(11, connection(2, 5.0))
    assert [row.entry["id"] for row in compared(before, now).connections] == [2]


def test_of_one_whose_worker_gave_no_answer_before_nothing_is_known() -> None:
    before = sample(10)
    now = sample(11, connection(1, 60.0, 100, 200))
    assert rates_of_connections(before, now) == [[None, None]]


def test_the_same_number_in_another_process_is_another_connection() -> None:
    before = sample(10, connection(1, 60.0, 1000, 1000))
    now = sample(11, connection(1, 0.5, 10, 20, pid=200))
    assert rates_of_connections(before, now) == [[10.0, 20.0]]


def test_what_nobody_counts_has_no_rate() -> None:
    before = sample(10, connection(1, 4.0, 100, None))
    now = sample(11, connection(1, 5.0, 110, None))
    assert rates_of_connections(before, now) == [[10.0, None]]


def test_counters_of_a_worker() -> None:
    before = sample(10, worker(1, 9.0, accepted=5, received=100))
    now = sample(12, worker(1, 11.0, accepted=9, received=300))
    assert rates_of_workers(before, now) == [[2.0, 100.0, 0.0]]


def test_a_worker_in_the_place_of_another_began_at_nothing() -> None:
    before = sample(10, worker(1, 9.0, accepted=1000))
    now = sample(12, worker(1, 1.0, accepted=4, pid=101), settled={"accepted": 1000})
    assert rates_of_workers(before, now) == [[2.0, 0.0, 0.0]]
    assert compared(before, now).rates["accepted"] == 2.0  # no jump of the sum


def test_totals_are_of_all_workers_and_of_those_that_are_gone() -> None:
    before = sample(10, worker(1, 9, accepted=5), worker(2, 9, accepted=7))
    now = sample(
        14,
        worker(1, 13, accepted=6, gauges={"open": 3}),
        worker(2, 1, accepted=1, pid=201, gauges={"open": 4}),
        settled={"accepted": 8, "refused:per-address": 2, "refused:rate": 3},
        restarts=1,
    )
    picture = compared(before, now)
    assert picture.rates["accepted"] == (15 - 12) / 4
    assert (picture.open, picture.refused, picture.restarts) == (7, 5, 1)


@pytest.mark.parametrize("later", [{"uptime": 3.0}, {"uptime": 10.0}, {"uptime": 12.0, "pid": 2}])
def test_a_server_that_was_restarted_is_another(later: dict[str, float]) -> None:
    before = sample(10, worker(1, 10, accepted=5), connection(1, 9, 10, 20))
    now = sample(later.pop("uptime"), worker(1, 2, accepted=9), connection(1, 1, 90, 90), **later)
    picture = compared(before, now)
    assert set(picture.rates.values()) == {None}
    assert set(picture.connections[0].rates.values()) == {None}


def test_a_total_that_went_backwards_has_no_rate() -> None:
    before = sample(10, worker(1, 10, accepted=50))  # killed, with what it had not told
    now = sample(11, worker(1, 0.5, accepted=1, pid=101), settled={"accepted": 40})
    assert compared(before, now).rates["accepted"] is None


@given(st.integers(0, 2**60), st.integers(0, 2**60), st.floats(0.001, 1e6))
def test_a_rate_is_never_negative(before: int, now: int, seconds: float) -> None:
    found = rate(before, now, seconds)
    assert found is None if now < before else found is not None and found >= 0


@pytest.mark.parametrize("seconds", [None, 0.0, -1.0])
def test_without_a_step_there_is_no_rate(seconds: float | None) -> None:
    assert rate(1, 2, seconds) is None
