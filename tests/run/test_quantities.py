"""Numbers with units."""

from __future__ import annotations

import resource

import pytest

from netkit.clients.run import quantities
from netkit.clients.run.quantities import jobs, per_cpu, seconds, size
from netkit.errors import UsageError


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("90", 90), ("1.5", 1.5), (".5s", 0.5), ("2m", 120), ("1h30m", 5400), ("1d", 86400)],
)
def test_seconds(text: str, value: float) -> None:
    assert seconds(text, "--timeout") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("512", 512), ("1K", 1024), ("1k", 1000), ("1.5M", 1572864), ("2G", 2 << 30), ("1p", 10**15)],
)
def test_sizes(text: str, value: int) -> None:
    assert size(text, "--memfree") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("8", 8), ("+2", 6), ("-1", 3), ("-9", 1), ("100%", 4), ("50%", 2), ("10%", 1), ("150%", 6)],
)
def test_jobs(text: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantities, "cpus", lambda: 4)
    assert jobs(text) == value


def test_no_number_is_as_many_as_there_are_descriptors_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (124, 124))
    assert jobs("0") == 10
    monkeypatch.setattr(resource, "getrlimit", lambda _: (-1, -1))
    assert jobs("0") == quantities.MOST


@pytest.mark.parametrize("text", ["", "x", "-1", "1w", "nan", "1 s", "1e3"])
def test_no_time_is_one_line(text: str) -> None:
    with pytest.raises(UsageError, match=f"^--timeout {text}: give seconds"):
        seconds(text, "--timeout")


@pytest.mark.parametrize("text", ["", "x", "-1", "1B", "1 K"])
def test_no_size_is_one_line(text: str) -> None:
    with pytest.raises(UsageError, match=f"^--memfree {text}: give bytes"):
        size(text, "--memfree")


@pytest.mark.parametrize("text", ["", "x", "1.5", "+5%", "--2"])
def test_no_number_is_one_line(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--load .*: give a number"):
        per_cpu(text, "--load")
