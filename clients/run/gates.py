"""What the next job waits for besides a free slot: a pause, the machine's load, memory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

AGAIN = 1.0
"""Seconds from one look at the machine to the next: the kernel tells nobody of load."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast jobs are started."""

    limit: int = 1
    """So many at a time."""
    delay: float = 0.0
    """Seconds from one start to the next."""
    load: float | None = None
    """Only while fewer processes of the machine run or are ready to."""
    memory: int | None = None
    """Only while so many bytes are available."""


@dataclass(frozen=True, slots=True)
class Machine:
    """How busy it is; each can be asked at any time."""

    running: Callable[[], float]
    available: Callable[[], int]


class Gate:
    """Opens for one job at a time. `stop` ends the waiting."""

    def __init__(
        self,
        pace: Pace,
        stop: asyncio.Event,
        machine: Machine,
        say: Callable[[str], None],
        again: float = AGAIN,
    ) -> None:
        self._pace, self._stop, self._machine, self._say = pace, stop, machine, say
        self._again = again
        self._next = 0.0
        self._told = False

    async def passed(self) -> bool:
        """Wait until a job may start; False if none may any more."""
        loop = asyncio.get_running_loop()
        await self._pause(self._next - loop.time())
        while not self._stop.is_set() and (why := self._busy()):
            if not self._told:
                self._told = True
                self._say(why)
            await self._pause(self._again)
        self._told = False
        self._next = loop.time() + self._pace.delay
        return not self._stop.is_set()

    def _busy(self) -> str:
        load, memory = self._pace.load, self._pace.memory
        if load is not None and self._machine.running() >= load:
            return f"no job starts while {load:g} processes or more run (--load)"
        if memory is not None and self._machine.available() < memory:
            return f"no job starts while less than {memory:,} bytes are available (--memfree)"
        return ""

    async def _pause(self, seconds: float) -> None:
        if seconds >= 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._stop.wait()


def running() -> float:
    """Processes that run or are ready to, without us who ask; elsewhere the load average."""
    try:
        return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0]) - 1
    except OSError:  # not Linux
        return os.getloadavg()[0]


def available() -> int:
    """Bytes that a new program can have without swapping."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:  # not Linux
        pass
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


MACHINE = Machine(running, available)
