"""Metrics that a server's author adds, as plain values that can be sent, added and compared.

A family is one metric with all its samples, known by the name that Prometheus's text
format gives it: ``jobs_total``, ``job_seconds``. What only grows adds up over workers;
what goes up and down, and what says how something is, stays each worker's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

MOST_SAMPLES = 10_000
"""Samples taken of one worker: each takes about 25 µs of its loop at each scrape."""

MOST_TEXT = 4 * 2**20
"""Characters of all their names and labels: as JSON at most 48 MiB, so one message holds them."""

PARTS = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_count", "_sum"),
    "summary": ("_count", "_sum"),
    "gauge": ("",),
    "gaugehistogram": ("_bucket", "_gcount", "_gsum"),
    "info": ("_info",),
    "stateset": ("",),
    "unknown": ("",),
}
"""The kinds of metrics, and what is behind a family's name in those of its samples.

A summary's quantiles cannot be added up, and times of creation say nothing of several
workers: both are left out.
"""

ADDED_UP = frozenset({"counter", "histogram", "summary"})

Labels = tuple[tuple[str, str], ...]
"""In the order of their names."""

Series = tuple[str, Labels]
"""A sample's name, and its labels."""


@dataclass
class Family:
    """One metric; `values` has its samples."""

    kind: str
    help: str
    values: dict[Series, float] = field(default_factory=dict)

    @property
    def adds_up(self) -> bool:
        """Whether it only grows."""
        return self.kind in ADDED_UP

    def agrees(self, other: Family) -> bool:
        """Whether both can be one: of one kind, and if histograms, with the same buckets."""
        if self.kind != other.kind:
            return False
        ours, theirs = self._bounds(), other._bounds()
        return not ours or not theirs or ours == theirs

    def _bounds(self) -> set[str]:
        if self.kind != "histogram":
            return set()
        return {value for _, labels in self.values for name, value in labels if name == "le"}


@dataclass
class Families:
    """The metrics of one process, or what processes that have ended have left; bounded."""

    by_name: dict[str, Family] = field(default_factory=dict)
    full: bool = False
    """Whether something was left out, since it would have been too much."""
    _samples: int = 0
    _text: int = 0

    @classmethod
    def of(cls, told: dict[str, Any]) -> Self:
        """What `told` has made of it, read back."""
        families = cls()
        for name, (kind, help_text, samples) in told.items():
            families.begin(name, kind, help_text)
            for sample, labels, value in samples:
                families.put(name, (sample, tuple(labels.items())), value)
        return families

    def told(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            name: [
                family.kind,
                family.help,
                [
                    [sample, dict(labels), value]
                    for (sample, labels), value in family.values.items()
                ],
            ]
            for name, family in self.by_name.items()
        }

    def begin(self, name: str, kind: str, help_text: str) -> None:
        """Begin a family, if there is room; what there was of that name is forgotten."""
        self.forget(name)
        if self._has_room(len(name) + len(help_text)):
            self.by_name[name] = Family(kind, help_text)

    def forget(self, name: str) -> None:
        """Take a family out."""
        if (old := self.by_name.pop(name, None)) is not None:
            self._samples -= len(old.values) + 1
            self._text -= len(name) + len(old.help) + sum(map(_length, old.values))

    def put(self, name: str, series: Series, value: float) -> None:
        """Set a sample of a family that has begun; a new one only if there is room."""
        family = self.by_name.get(name)
        if family is None:  # there was no room for it
            return
        if series in family.values or self._has_room(_length(series)):
            family.values[series] = value

    def at_least(self, earlier: Families) -> Self:
        """These, with no counter below what it was before."""
        for name, before in earlier._added_up():
            if name not in self.by_name:
                self.begin(name, before.kind, before.help)
            now = self.by_name.get(name)
            if now is not None and now.agrees(before):
                for series, value in before.values.items():
                    self.put(name, series, max(value, now.values.get(series, value)))
        return self

    def settle(self, ended: Families) -> None:
        """Add what a process has counted that has ended; what it was otherwise is gone."""
        for name, family in ended._added_up():
            if name not in self.by_name or not self.by_name[name].agrees(family):
                self.begin(name, family.kind, family.help)
            if (ours := self.by_name.get(name)) is not None:
                for series, value in family.values.items():
                    self.put(name, series, ours.values.get(series, 0) + value)

    def _added_up(self) -> Iterator[tuple[str, Family]]:
        return ((name, each) for name, each in self.by_name.items() if each.adds_up)

    def _has_room(self, text: int) -> bool:
        if self._samples >= MOST_SAMPLES or self._text + text > MOST_TEXT:
            self.full = True
            return False
        self._samples += 1
        self._text += text
        return True


def _length(series: Series) -> int:
    name, labels = series
    return len(name) + sum(len(label) + len(value) for label, value in labels)
