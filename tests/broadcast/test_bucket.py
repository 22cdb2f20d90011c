"""Rates as people write them, and the bucket that keeps to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.errors import UsageError
from netkit.servers.broadcast.bucket import Bucket, Rate, parse_rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("5000/s", Rate(5000, bits=False)),
        ("5k/s", Rate(5000, bits=False)),
        ("0.5/s", Rate(0.5, bits=False)),
        (".5/s", Rate(0.5, bits=False)),
        ("1.5M/s", Rate(1.5e6, bits=False)),
        ("10M", Rate(10e6, bits=True)),
        ("10Mbit", Rate(10e6, bits=True)),
        ("10Mbit/s", Rate(10e6, bits=True)),
        ("10 Mbit/s", Rate(10e6, bits=True)),
        ("10Mbps", Rate(10e6, bits=True)),
        ("64K", Rate(64e3, bits=True)),
        ("1G", Rate(1e9, bits=True)),
        ("9600bit/s", Rate(9600, bits=True)),
        (" 100/s ", Rate(100, bits=False)),
    ],
)
def test_rates(text: str, rate: Rate) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("5000", "'5000': of what?"),
        ("0/s", "more than nothing"),
        ("0M", "more than nothing"),
        ("-5/s", "is no rate"),
        ("", "is no rate"),
        ("10MB/s", "is no rate"),
        ("10m", "is no rate"),
        ("1e6/s", "is no rate"),
        ("fast", "is no rate"),
        ("٣/s", "is no rate"),
        ("10M/", "is no rate"),
        ("9" * 400 + "/s", "more than nothing|is no rate"),
    ],
)
def test_what_is_no_rate(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        parse_rate(text)
    assert "\n" not in str(caught.value)


def test_costs() -> None:
    assert parse_rate("5/s").cost(3, 1200) == 3
    assert parse_rate("5M").cost(3, 1200) == 3 * 1200 * 8


def test_a_full_bucket_then_the_rate() -> None:
    bucket = Bucket(10, now=100, burst=2)
    for _ in range(2):
        assert bucket.delay(100, 1) == 0
        bucket.spend(100, 1)
    assert bucket.delay(100, 1) == pytest.approx(0.1)
    assert bucket.delay(100.05, 1) == pytest.approx(0.05)
    assert bucket.delay(100.1, 1) == pytest.approx(0)


def test_a_silence_is_not_saved_up() -> None:
    bucket = Bucket(10, now=0, burst=2)
    bucket.spend(1000, 2)
    assert bucket.delay(1000, 1) == pytest.approx(0.1)


def test_more_than_the_bucket_holds_leaves_a_debt() -> None:
    bucket = Bucket(10, now=0, burst=2)
    assert bucket.delay(0, 50) == 0
    bucket.spend(0, 50)
    assert bucket.delay(0, 1) == pytest.approx(4.9)


def test_by_default_a_hundredth_of_a_second_and_at_least_one() -> None:
    assert Bucket(1000, now=0).delay(0, 10) == 0
    fresh = Bucket(1000, now=0)
    fresh.spend(0, 10)
    assert fresh.delay(0, 1) == pytest.approx(0.001)
    slow = Bucket(0.5, now=0)
    assert slow.delay(0, 1) == 0
    slow.spend(0, 1)
    assert slow.delay(0, 1) == pytest.approx(2)


def test_a_clock_that_goes_back_gives_nothing() -> None:
    bucket = Bucket(10, now=100, burst=1)
    bucket.spend(100, 1)
    assert bucket.delay(50, 1) == pytest.approx(0.1)
    assert bucket.delay(100, 1) == pytest.approx(0.1)


@given(
    st.floats(0.1, 1e6),
    st.lists(st.tuples(st.floats(0, 2), st.floats(0.1, 500)), min_size=1, max_size=50),
)
def test_never_faster_than_the_rate(per_second: float, wants: list[tuple[float, float]]) -> None:
    bucket = Bucket(per_second, now=0)
    now = spent = 0.0
    largest = max(1.0, per_second / 100, *(cost for _, cost in wants))
    for pause, cost in wants:
        now += pause
        now += bucket.delay(now, cost)
        bucket.spend(now, cost)
        spent += cost
        assert spent <= now * per_second * (1 + 1e-6) + 2 * largest
