"""Rate, jitter and latency, each against the plain way to compute it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.clients.listen.statistics import Histogram, Jitter, Rate, Statistics


def test_the_rate_is_that_of_the_last_whole_second() -> None:
    rate = Rate()
    for tick in range(200):  # 100 a second, of ten bytes
        rate.add(1, 10, 50.0 + tick / 100)
    assert rate.read(52.0) == (100, 1000)
    assert rate.read(52.5) == (50, 500)
    assert rate.read(60.0) == (0, 0)


def test_a_rate_without_anything() -> None:
    assert Rate().read(1e6) == (0, 0)


def test_jitter_as_in_rfc_3550() -> None:
    # Appendix A.8 by hand: transits 5, 9, 6 and 6: |D| = 4, 3, 0.
    jitter = Jitter()
    for sent, arrived in ((0, 5), (10, 19), (20, 26), (30, 36)):
        jitter.add(sent, arrived)
    first = 4 / 16
    second = first + (3 - first) / 16
    assert jitter.value == pytest.approx(second + (0 - second) / 16)


def test_steady_datagrams_have_no_jitter_whatever_the_clocks_say() -> None:
    jitter = Jitter()
    for number in range(100):
        jitter.add(10**18 + number * 1000, number * 1000)
    assert jitter.value == 0


@given(st.integers(1, 64), st.integers(0, 10**6), st.integers(0, 10**9))
def test_a_run_has_the_jitter_of_its_datagrams(count: int, step: int, arrived: int) -> None:
    one, other = Jitter(), Jitter()
    for jitter in (one, other):
        jitter.add(0, 17)
        jitter.add(1000, 3017)
    sent = [5000 + step * number for number in range(count)]
    for each in sent:
        one.add(each, arrived)
    other.run(count, sent[0], sent[-1], arrived)
    one.add(10**7, 10**9)
    other.add(10**7, 10**9)
    assert other.value == pytest.approx(one.value, rel=1e-9, abs=1e-6)


@given(st.lists(st.integers(-(2**63), 2**64), min_size=1), st.floats(0, 100))
def test_percentiles_are_right_within_their_error(values: list[int], percent: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    rank = max(1, -int(-len(values) * percent // 100))
    exact = sorted(values)[rank - 1]
    found = histogram.percentile(percent)
    assert found is not None
    assert abs(found - exact) <= abs(exact) / 128
    assert (histogram.least, histogram.most) == (min(values), max(values))


def test_a_histogram_is_bounded() -> None:
    histogram = Histogram()
    for shift in range(64):
        for step in range(64):
            value = (1 << shift) + (step << max(shift - 6, 0))
            histogram.add(value)
            histogram.add(-value)
    assert len(histogram._buckets) <= 7552


def test_nothing_has_no_percentiles() -> None:
    assert Histogram().percentile(50) is None


def test_what_was_sent_again_has_a_latency_but_no_jitter() -> None:
    statistics = Statistics()
    statistics.add(10, 0, 100, 1.0, direct=True)
    statistics.add(10, 0, 5_000_000, 1.0, direct=False)
    statistics.add(10, 50, 150, 1.0, direct=True)
    assert statistics.jitter.value == 0
    assert statistics.latency.most == 5_000_000
    assert statistics.rate.read(1.2) == (3, 30)


def test_a_clock_that_is_ahead_makes_negative_latency() -> None:
    statistics = Statistics()
    statistics.run(3, 30, 1000, 1200, 900, 1.0)
    assert statistics.latency.percentile(30) == pytest.approx(-300, rel=0.01)
    assert statistics.latency.percentile(99) == pytest.approx(-100, rel=0.01)
