"""Figures in Prometheus's text format.

Names follow Prometheus's conventions: base units, ``_total`` for counters. The
counters of workers that were replaced stay in the sum, so none goes backwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from netkit.admin.source import Report
from netkit.observability.families import Family
from netkit.observability.figures import BOUNDS, Figures, together
from netkit.observability.merging import base
from netkit.version import __version__

LABELLED = (
    ("refused", "netkit_connections_refused", "Newcomers turned away, by limit.", "limit"),
    (
        "handshake-failures",
        "netkit_tls_handshake_failures",
        "TLS handshakes that failed, by reason.",
        "reason",
    ),
    (
        "pauses",
        "netkit_accept_pauses",
        "Times that accepting paused, by the limit that was reached.",
        "limit",
    ),
)
PLAIN = (
    ("accepted", "netkit_connections_accepted", "Connections accepted."),
    ("received", "netkit_received_bytes", "Bytes received, as TCP carried them."),
    ("sent", "netkit_sent_bytes", "Bytes sent, as TCP carried them."),
)
GAUGES = (
    ("open", "netkit_connections_open", "Open connections."),
    ("waiting", "netkit_connections_waiting", "Connections accepted that wait for room."),
    ("lag", "netkit_event_loop_lag_seconds", "How late the loop woke up at its last beat."),
    ("resident", "netkit_resident_memory_bytes", "Memory held by the process."),
    ("descriptors", "netkit_descriptors_open", "File descriptors in use."),
    ("descriptors-limit", "netkit_descriptors_limit", "File descriptors that there may be."),
)


def text(report: Report) -> bytes:
    """A scrape's answer."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(report))
    return generate_latest(registry)


class _Once:
    """A collector of one report."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def collect(self) -> Iterator[Metric]:
        total = together([*self._report.workers.values(), self._report.settled])
        info = GaugeMetricFamily("netkit_info", "The version that runs.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        yield from _counters(total)
        yield _durations(total)
        yield from _gauges(self._report.workers)
        workers = [number for number in self._report.workers if number]
        yield GaugeMetricFamily("netkit_workers", "Worker processes that serve.", len(workers))
        yield CounterMetricFamily(
            "netkit_worker_restarts",
            "Workers that ended without being told, and were started again.",
            self._report.restarts,
        )
        yield from _authored(self._report.authored)


def _counters(total: Figures) -> Iterator[Metric]:
    for key, name, text_ in PLAIN:
        yield CounterMetricFamily(name, text_, total.counters[key])
    for key, name, text_, label in LABELLED:
        family = CounterMetricFamily(name, text_, labels=[label])
        for counter, value in sorted(total.counters.items()):
            kind, colon, reason = counter.partition(":")
            if colon and kind == key:
                family.add_metric([reason], value)
        yield family


def _durations(total: Figures) -> Metric:
    buckets: list[Any] = []
    below = 0
    for bound in (*BOUNDS, "+Inf"):
        below += total.counters[f"ended:{bound}"]
        buckets.append((str(bound), below))
    return HistogramMetricFamily(
        "netkit_connection_duration_seconds",
        "How long connections lasted that have ended.",
        buckets=buckets,
        sum_value=total.counters["seconds"],
    )


def _gauges(workers: dict[int, Figures]) -> Iterator[Metric]:
    for key, name, text_ in GAUGES:
        family = GaugeMetricFamily(name, text_, labels=["worker"])
        for number, figures in sorted(workers.items()):
            if key in figures.gauges:
                family.add_metric([str(number)], figures.gauges[key])
        yield family


def _authored(families: dict[str, Family]) -> Iterator[Metric]:
    for name, family in sorted(families.items()):
        metric = Metric(base(name, family.kind), family.help, family.kind)
        for (sample, labels), value in family.values.items():
            metric.add_sample(sample, dict(labels), value)
        yield metric
