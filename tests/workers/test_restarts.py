"""The delays between starts, without a clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netkit.workers.places import dealt
from netkit.workers.restarts import SHORT_LIFE, Restarts


def test_a_good_life_is_followed_at_once() -> None:
    restarts = Restarts()
    assert [restarts.after(SHORT_LIFE) for _ in range(5)] == [0.0] * 5


def test_failed_starts_wait_twice_as_long_each_time() -> None:
    restarts = Restarts(first=0.25, most=2.0)
    assert [restarts.after(0.0) for _ in range(6)] == [0.25, 0.5, 1.0, 2.0, 2.0, 2.0]


def test_the_first_early_death_is_forgiven() -> None:
    restarts = Restarts(first=0.25)
    assert [restarts.after(0.1) for _ in range(3)] == [0.0, 0.5, 1.0]
    restarts.after(SHORT_LIFE)
    assert restarts.after(0.1) == 0.0


@given(st.lists(st.floats(0, 10, allow_nan=False), max_size=100))
def test_no_delay_is_longer_than_the_most(lives: list[float]) -> None:
    restarts = Restarts()
    assert all(0.0 <= restarts.after(life) <= restarts.most for life in lives)


@given(st.integers(1, 64), st.integers(1, 64))
def test_every_set_of_sockets_is_served_by_one_worker(sets: int, workers: int) -> None:
    deal = dealt(sets, workers)
    assert len(deal) == workers
    assert all(deal)
    assert sorted(each for own in deal for each in own) == list(range(max(sets, workers)))
    assert max(map(len, deal)) - min(map(len, deal)) <= 1
