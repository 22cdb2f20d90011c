"""How this process is: memory, descriptors, and whether its loop keeps up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys
import time
from functools import lru_cache
from pathlib import Path

STATM = Path("/proc/self/statm")
"""Memory in pages, the second word what is resident (proc_pid_statm(5))."""

DESCRIPTORS = Path("/proc/self/fd")
"""Its size is how many are open, since Linux 6.2; before that it is 0 (proc_pid_fd(5))."""

LISTED = 10
"""Seconds that a list of them is good for: 10,000 take 15 ms, and the loop waits."""

NAP = 0.01
"""Seconds that `lag` sleeps."""


def vitals() -> dict[str, float]:
    """Gauges of this process: bytes of memory, descriptors open and how many there may be."""
    found: dict[str, float] = {"resident": resident()}
    if count := descriptors():
        found["descriptors"] = count
    if limit := descriptor_limit():
        found["descriptors-limit"] = limit
    return found


def resident() -> int:
    """Bytes of memory that this process holds now (most ever, elsewhere than on Linux)."""
    with contextlib.suppress(OSError):
        return int(STATM.read_text().split()[1]) * resource.getpagesize()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


async def lag() -> float:
    """How late the loop wakes up from a nap, in seconds."""
    loop = asyncio.get_running_loop()
    due = loop.time() + NAP
    await asyncio.sleep(NAP)  # what is measured
    return max(0.0, loop.time() - due)


def descriptors() -> int:
    """How many descriptors this process has open; 0 where that is not known."""
    with contextlib.suppress(OSError):
        return DESCRIPTORS.stat().st_size or _listed(int(time.monotonic() / LISTED))
    return 0


@lru_cache(maxsize=1)
def _listed(period: int) -> int:
    """Their number, less the one that lists them; `period` is when."""
    with os.scandir(DESCRIPTORS) as entries:
        return sum(1 for _ in entries) - 1


def descriptor_limit() -> int:
    """How many descriptors this process may have open; 0 if any number."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 0 if soft == resource.RLIM_INFINITY else soft
