"""One set of metrics from those of all workers."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from netkit.observability.families import PARTS, Families, Family

log = logging.getLogger("netkit.admin")

UNFIT = "it has another type or other buckets in another worker; one of both is left out"


class Merging:
    """Merges what workers count; says once what does not fit together."""

    def __init__(self) -> None:
        self._unfit: set[str] = set()
        self._full = False

    def __call__(self, live: Mapping[str, Families], settled: Families) -> dict[str, Family]:
        """What `live` count, by worker, and what those that have ended had counted.

        Where two mean different things by one name, as while a reload changes a
        metric's type, the first one's is taken.
        """
        merged = Merged()
        for worker, families in live.items():
            for name, family in families.by_name.items():
                merged.add(name, family, worker)
        for name, family in settled.by_name.items():
            merged.add(name, family, "")
        for name in sorted(merged.unfit - self._unfit):
            log.warning("metric %s: %s", name, UNFIT)
        self._unfit = merged.unfit
        if settled.full and not self._full:
            self._full = True
            log.warning("too many series of workers that have ended: some counters lose those")
        return merged.by_name


class Merged:
    """Families that fit together, as they come."""

    def __init__(self) -> None:
        self.by_name: dict[str, Family] = {}
        self.unfit: set[str] = set()
        """Names of families that were left out of some worker's."""
        self._owners: dict[str, str] = {}
        """Which family has the samples of a name."""

    def add(self, name: str, family: Family, worker: str) -> None:
        """Add one worker's family to what there is of that name."""
        ours = self.by_name.get(name)
        if ours is None:
            names = sample_names(name, family.kind)
            if not self._owners.keys().isdisjoint(names):
                self.unfit.add(name)
                return
            self._owners.update(dict.fromkeys(names, name))
            ours = self.by_name[name] = Family(family.kind, family.help)
        elif not ours.agrees(family):
            self.unfit.add(name)
            return
        if family.adds_up:
            for series, value in family.values.items():
                ours.values[series] = ours.values.get(series, 0) + value
        else:
            for (sample, labels), value in family.values.items():
                ours.values[sample, with_worker(labels, worker)] = value


def base(name: str, kind: str) -> str:
    """A family's name without what its only sample has behind it."""
    return name.removesuffix({"counter": "_total", "info": "_info"}.get(kind, ""))


def sample_names(name: str, kind: str) -> set[str]:
    """All names that a family uses in the text format."""
    return {name} | {base(name, kind) + part for part in PARTS[kind]}


def with_worker(labels: tuple[tuple[str, str], ...], worker: str) -> tuple[tuple[str, str], ...]:
    """Say whose a sample is; an author's own label of that name gives way, as in Prometheus."""
    ours = [("exported_worker" if name == "worker" else name, value) for name, value in labels]
    return (*ours, ("worker", worker))
