"""Numbers with units, as GNU parallel has them, and how many jobs at a time."""

from __future__ import annotations

import math
import os
import re
import resource

from netkit.errors import UsageError

SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SECONDS = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([smhd]?)")
_PARTS = re.compile(r"(?:(?:\d+(?:\.\d*)?|\.\d+)[smhd]?)+")
_SIZE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([kKmMgGtTpP]?)")
_JOBS = re.compile(r"([+-]?)(\d+)(%?)")

SPARE = 64
"""Descriptors that are not for jobs."""
EACH = 6
"""Descriptors that a job may need at the same time, while it starts."""
MOST = 1000
"""Jobs at a time with 0: processes are dearer than descriptors."""


def seconds(text: str, flag: str) -> float:
    """``90``, ``1.5m``, ``1h30m``, ``2d``. Raises `UsageError`."""
    if not _PARTS.fullmatch(text):
        raise UsageError(f"{flag} {text}: give seconds, or a time such as 90s, 1.5m, 2h or 1d")
    return sum(float(number) * SECONDS[unit] for number, unit in _SECONDS.findall(text))


def size(text: str, flag: str) -> int:
    """``1024``, ``2G``; upper case counts by 1024, lower case by 1000. Raises `UsageError`."""
    found = _SIZE.fullmatch(text)
    if not found:
        raise UsageError(f"{flag} {text}: give bytes, or a size such as 500M or 2G")
    number, unit = found.groups()
    power = "KMGTP".find(unit.upper()) + 1 if unit else 0
    return int(float(number) * (1024 if unit.isupper() else 1000) ** power)


def per_cpu(text: str, flag: str) -> float:
    """``8``, ``+2``, ``-1`` (of the CPUs), ``200%`` of their number. Raises `UsageError`."""
    found = _JOBS.fullmatch(text)
    if not found or (found[1] and found[3]):
        raise UsageError(f"{flag} {text}: give a number, a percentage of the CPUs, +N or -N")
    sign, number, percent = found.groups()
    if percent:
        return int(number) * cpus() / 100
    return cpus() + int(sign + number) if sign else int(number)


def jobs(text: str) -> int:
    """How many jobs at a time; 0 is as many as there are descriptors for. Raises `UsageError`."""
    if text == "0":
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return max(1, min(MOST, (soft - SPARE) // EACH)) if soft > 0 else MOST
    return max(1, math.floor(per_cpu(text, "--jobs")))


def cpus() -> int:
    """CPUs that we may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1
