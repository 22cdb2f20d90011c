"""The C library's allocator: what it keeps for the next read, and what it gives back.

Both loops get memory for all that a read may bring, 256 KiB, and give back what did
not come. From 128 KiB on glibc takes such a piece from the kernel and returns it there:
several system calls and page faults for each message, unless that limit has risen, as it
does by itself once a piece so large has been freed whole (mallopt(3), M_MMAP_THRESHOLD).
Some programs happen to do that before they serve, and others do not. A process of netkit's
own sets the limits: docs/decisions/0014 has what it is worth.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

FROM_THE_KERNEL = 4 << 20
"""Bytes from which a piece is the kernel's again as soon as it is freed."""
KEPT = 8 << 20
"""Bytes that may stay free at the end of the heap."""

# malloc.h
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3


def keep_reads(environment: Mapping[str, str] = os.environ) -> bool:
    """Have what is read come from the heap, and stay there; whether that was done.

    For the whole process: the limits no longer move by themselves. Not done where
    the environment sets them, or where the C library has no such limits (musl).
    """
    chosen = {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"} & environment.keys()
    if chosen or "glibc.malloc." in environment.get("GLIBC_TUNABLES", ""):
        return False
    if (function := getattr(_libc(), "mallopt", None)) is None:
        return False
    limits = ((M_MMAP_THRESHOLD, FROM_THE_KERNEL), (M_TRIM_THRESHOLD, KEPT))
    return all(function(which, size) == 1 for which, size in limits)


def trim_heap() -> None:
    """Have the C library give back what is free (malloc_trim(3), glibc alone has it).

    It does not do so by itself, and the loop waits: 0.3 s for 700 MB in pieces of 15 kB.
    """
    if (function := getattr(_libc(), "malloc_trim", None)) is not None:
        function(0)


@cache
def _libc() -> Any:
    import ctypes  # takes a while, and who only imports netkit does not need it

    return ctypes.CDLL(None)
