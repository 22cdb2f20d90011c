"""Figures add up and never go backwards."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from netkit.observability.figures import Figures, together

COUNTERS = st.dictionaries(st.sampled_from("abc"), st.integers(1, 1000)).map(Counter)
FIGURES = st.builds(Figures, COUNTERS, st.dictionaries(st.sampled_from("xy"), st.floats(0, 1e6)))


@given(FIGURES)
def test_what_is_told_is_read_back(figures: Figures) -> None:
    assert Figures.of(figures.told()) == figures


@given(st.lists(FIGURES, max_size=5))
def test_a_sum_has_everything(parts: list[Figures]) -> None:
    total = together(parts)
    assert total.counters.total() == sum(part.counters.total() for part in parts)


@given(FIGURES, FIGURES)
def test_no_counter_goes_backwards(now: Figures, before: Figures) -> None:
    kept = now.at_least(before).counters
    assert all(kept[name] == max(now.counters[name], before.counters[name]) for name in kept)
    assert set(kept) == set(now.counters) | set(before.counters)
