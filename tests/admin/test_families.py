"""An author's metrics add up over workers, never go backwards, and stay within bounds."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.observability import families as bounds
from netkit.observability.families import Families, Series
from netkit.observability.merging import Merging

LABELS = st.sampled_from([(), (("kind", "mail"),), (("kind", "print"),)])
VALUES = st.dictionaries(
    st.tuples(st.just("jobs_total"), LABELS), st.integers(0, 1000).map(float), max_size=3
)


def made(kind: str, name: str, values: dict[Series, float]) -> Families:
    families = Families()
    families.begin(name, kind, "Some help.")
    for series, value in values.items():
        families.put(name, series, value)
    return families


def counters(values: dict[Series, float]) -> Families:
    return made("counter", "jobs_total", values)


def histogram(*pairs: tuple[str, float]) -> Families:
    return made("histogram", "s", {("s_bucket", (("le", le),)): value for le, value in pairs})


def gauge(value: float) -> Families:
    return made("gauge", "depth", {("depth", ()): value})


@given(VALUES)
def test_what_is_told_is_read_back(values: dict[Series, float]) -> None:
    families = counters(values)
    assert Families.of(json.loads(json.dumps(families.told()))) == families


@given(VALUES, VALUES)
def test_no_counter_goes_backwards(now: dict[Series, float], before: dict[Series, float]) -> None:
    kept = counters(now).at_least(counters(before)).by_name["jobs_total"].values
    assert kept == {
        series: max(now.get(series, 0), before.get(series, 0)) for series in {**now, **before}
    }


@given(st.lists(VALUES, max_size=4), st.lists(VALUES, max_size=4))
def test_those_who_live_and_those_who_have_ended_add_up(
    live: list[dict[Series, float]], ended: list[dict[Series, float]]
) -> None:
    settled = Families()
    for values in ended:
        settled.settle(counters(values))
    named = {str(number): counters(values) for number, values in enumerate(live)}
    merged = Merging()(named, settled)
    total = sum(sum(family.values.values()) for family in merged.values())
    assert total == sum(sum(values.values()) for values in (*live, *ended))


def test_gauges_stay_their_workers_own_and_end_with_them() -> None:
    settled = Families()
    settled.settle(gauge(7))
    merged = Merging()({"1": gauge(1), "1/4711": gauge(2)}, settled)
    assert merged["depth"].values == {
        ("depth", (("worker", "1"),)): 1,
        ("depth", (("worker", "1/4711"),)): 2,
    }


def test_a_label_worker_of_the_authors_gives_way() -> None:
    own = made("gauge", "depth", {("depth", (("worker", "ant"),)): 3.0})
    ((series, _),) = Merging()({"1": own}, Families())["depth"].values.items()
    assert series == ("depth", (("exported_worker", "ant"), ("worker", "1")))


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        (gauge(1), made("counter", "depth", {("depth", ()): 5.0})),
        (histogram(("1", 1), ("+Inf", 2)), histogram(("2", 3), ("+Inf", 4))),
        (
            made("counter", "s_count", {("s_count", ()): 1.0}),
            made("summary", "s", {("s_count", ()): 2.0, ("s_sum", ()): 2.0}),
        ),
    ],
    ids=["type", "buckets", "names"],
)
def test_what_does_not_fit_is_left_out_and_said_once(
    newer: Families, older: Families, caplog: pytest.LogCaptureFixture
) -> None:
    merging = Merging()
    for _ in range(3):
        ((name, family),) = merging({"1": newer, "1/4711": older}, Families()).items()
    assert name in newer.by_name
    assert family.kind == newer.by_name[name].kind
    assert len(family.values) == len(newer.by_name[name].values)
    (record,) = caplog.records
    assert "in another worker; one of both is left out" in record.getMessage()


def test_who_ended_last_settles_what_a_metric_is() -> None:
    settled = Families()
    settled.settle(histogram(("2", 3), ("+Inf", 4)))
    settled.settle(histogram(("1", 1), ("+Inf", 2)))
    assert settled.by_name["s"].values == histogram(("1", 1), ("+Inf", 2)).by_name["s"].values


def test_samples_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MOST_SAMPLES", 10)
    families = counters({("jobs_total", (("n", str(n)),)): 1.0 for n in range(100)})
    assert families.full
    assert len(families.by_name["jobs_total"].values) == 9  # and the family itself
    settled = Families()
    for generation in range(5):
        settled.settle(counters({("jobs_total", (("n", f"{generation}"),)): 1.0}))
        settled.settle(counters({("jobs_total", (("n", f"{generation}-2"),)): 1.0}))
    assert settled.full
    assert len(settled.by_name["jobs_total"].values) == 9
    settled.settle(counters({("jobs_total", (("n", "0"),)): 1.0}))
    assert settled.by_name["jobs_total"].values["jobs_total", (("n", "0"),)] == 2


def test_text_is_bounded_and_given_back() -> None:
    long = "x" * (bounds.MOST_TEXT - 100)
    families = counters({("jobs_total", (("n", long),)): 1.0})
    assert not families.full
    families.put("jobs_total", ("jobs_total", (("n", "y" * 100),)), 1.0)
    assert families.full
    families.begin("jobs_total", "counter", "Again.")
    families.put("jobs_total", ("jobs_total", (("n", long),)), 1.0)
    assert len(families.by_name["jobs_total"].values) == 1


def test_too_much_that_has_ended_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bounds, "MOST_SAMPLES", 2)
    settled = Families()
    settled.settle(counters({("jobs_total", ()): 1.0}))
    settled.settle(counters({("jobs_total", (("kind", "mail"),)): 1.0}))
    merging = Merging()
    with caplog.at_level(logging.WARNING):
        merging({}, settled)
        merging({}, settled)
    (record,) = caplog.records
    assert "some counters lose those" in record.getMessage()
