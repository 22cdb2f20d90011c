"""When a worker is worn, without one."""

from __future__ import annotations

from collections import Counter

import pytest

from netkit.errors import UsageError
from netkit.observability.figures import Figures
from netkit.workers.health import Health

FIGURES = Figures(Counter(accepted=100), {"resident": 300 * 2**20})


@pytest.mark.parametrize(
    ("health", "why"),
    [
        (Health(), ""),
        (Health(max_age=60), "60 s old (--worker-max-age)"),
        (Health(max_age=61), ""),
        (Health(max_connections=100), "100 connections accepted (--worker-max-connections)"),
        (Health(max_connections=101), ""),
        (Health(max_memory=300), "300 MiB of memory (--worker-max-memory)"),
        (Health(max_memory=301), ""),
    ],
)
def test_worn(health: Health, why: str) -> None:
    assert health.worn(60.0, FIGURES) == why


@pytest.mark.parametrize("name", ["timeout_start", "timeout", "max_age", "max_connections"])
@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_what_makes_no_sense_names_its_flag(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"^--worker-{name.replace('_', '-')} "):
        Health(**{name: value})  # type: ignore[arg-type]  # the flags' own types are the parser's
