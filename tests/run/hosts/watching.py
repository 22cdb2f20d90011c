"""Processes of others, watched until they are gone."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path


def members(group: int) -> dict[int, str]:
    """Those of a process group that live now, with their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                words = os.fsdecode((entry / "cmdline").read_bytes().replace(b"\0", b" "))
            except OSError:  # gone meanwhile
                continue
            if int(fields[2]) == group and fields[0] != "Z":
                found[int(entry.name)] = words
    return found


async def gone(group: int) -> None:
    """Wait until nobody is left in it."""
    while living := members(group):
        await asyncio.gather(*(ended(pid) for pid in living))


async def ended(pid: int) -> None:
    """Wait until this process has ended."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(fd, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(fd)
        os.close(fd)
