"""What a server's author counts: figures of the service, and metrics of prometheus_client.

`Service.figures` needs no library. Metrics of prometheus_client's default registry are
taken along if the author's code has imported it; otherwise looking for them costs nothing.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

from netkit.observability.families import MOST_SAMPLES, PARTS, Families, Labels
from netkit.service import Figure, Service

log = logging.getLogger("netkit.server")

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
"""https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels"""

LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")

OURS = "netkit_"
"""Names of the runtime begin with this."""

OF_THE_LIBRARY = frozenset(
    {
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_virtual_memory_bytes",
        "python_gc_collections_total",
        "python_gc_objects_collected_total",
        "python_gc_objects_uncollectable_total",
        "python_info",
    }
)
"""What prometheus_client registers by itself; netkit has figures of its own for that."""


class Authored:
    """Asks a service, and the library if it is there; says once what cannot be taken."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._said: set[str] = set()

    def families(self, *, at_end: bool = False) -> Families:
        """Everything counted by now. With `at_end` a service that has left its lifespan may fail.

        Takes about 20 µs for each sample, half of it in the library.
        """
        families = Families()
        self._ask_service(families, at_end)
        self._ask_library(families)
        if families.full:
            self._say_once(
                "full", "metrics beyond %d samples, or 4 MiB, are left out", MOST_SAMPLES
            )
        return families

    def _ask_service(self, families: Families, at_end: bool) -> None:
        called = f"{type(self._service).__name__}.figures()"
        try:
            figures = self._service.figures()
            for name, figure in figures.items():
                kind, numbers = "counter" if name.endswith("_total") else "gauge", labelled(figure)
                if self._may_begin(families, name, called):
                    families.begin(name, kind, f"As {called} says.")
                    for labels, number in numbers:
                        families.put(name, (name, labels), number)
        except Exception as error:  # an author's code may raise anything
            if not at_end:
                self._say_once("figures", "%s failed: %s", called, explained(error))

    def _ask_library(self, families: Families) -> None:
        registry = getattr(sys.modules.get("prometheus_client"), "REGISTRY", None)
        if registry is None:
            return
        try:
            for metric in registry.collect():
                self._take(families, metric)
                if families.full:
                    return
        except Exception as error:  # of an author's collector
            self._say_once(
                "library", "a metric failed, and those after it are left out: %s", explained(error)
            )

    def _take(self, families: Families, metric: Any) -> None:
        parts = PARTS[metric.type]
        stem = metric.name.removesuffix("_total") if metric.type == "counter" else metric.name
        name = stem + parts[0] if len(parts) == 1 else stem
        if name in OF_THE_LIBRARY or not self._may_begin(families, name, "prometheus_client"):
            return
        families.begin(name, metric.type, metric.documentation)
        for sample, labels, value in samples(metric, {stem + part for part in parts}):
            families.put(name, (sample, labels), value)
            if families.full:
                return

    def _may_begin(self, families: Families, name: str, where: str) -> bool:
        if not NAME.fullmatch(name):
            self._say_once("name", "%s: %r is no name of a metric; left out", where, name)
        elif name.startswith(OURS):
            self._say_once("ours", "%s: %s is left out: %s… is netkit's", where, name, OURS)
        elif name in families.by_name:
            self._say_once("twice", "%s: %s is there already; left out", where, name)
        else:
            return True
        return False

    def _say_once(self, kind: str, text: str, *values: object) -> None:
        if kind not in self._said:
            self._said.add(kind)
            log.error(text, *values)


def labelled(figure: Figure) -> list[tuple[Labels, float]]:
    """Its numbers, with their labels. Raises ValueError for what is no such thing."""
    if not isinstance(figure, Mapping):
        return [((), float(figure))]
    for label in figure:
        if not LABEL.fullmatch(label):
            raise ValueError(f"{label!r} is no name of a label")
    return [
        (((label, str(value)),), float(number))
        for label, numbers in figure.items()
        for value, number in numbers.items()
    ]


def samples(metric: Any, names: set[str]) -> Iterator[tuple[str, Any, float]]:
    """A metric's samples of these names, with labels in the order of their names."""
    for sample in metric.samples:
        if sample.name in names:
            labels = sorted((str(label), str(value)) for label, value in sample.labels.items())
            yield sample.name, tuple(labels), float(sample.value)


def explained(error: Exception) -> str:
    """What went wrong, and where, in one line."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})"
