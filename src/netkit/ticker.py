"""Ticks at a steady pace: number n is due at start + n * period, however late others were.

The kernel's timer wakes the loop through a descriptor (`timerfd`). The loops' own timers,
`asyncio.loop.call_at`, are later: asyncio waits for them in whole milliseconds, rounded up
(CPython's ``EpollSelector.select``), and libuv keeps time in milliseconds. They serve
where there is no timerfd.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import NamedTuple, Self

from netkit import timerfd

SECOND = 1_000_000_000  # in nanoseconds, as all times here
EARLY = 100_000
"""How long before its time a task is woken, for that is what a wake-up takes: until then the
loop turns without sleeping. At most a tenth of the period, and so of a processor."""
SHORTEST = 1e-5
"""Least seconds of a period: a tick costs about as much."""


class Tick(NamedTuple):
    """One tick: its number, from 0, and how many were missed just before it."""

    number: int
    missed: int


class Schedule:
    """Which tick is due, and nothing else: no clock. Times are integers in nanoseconds."""

    def __init__(self, start: int, period: int) -> None:
        self.start = start
        self.period = period
        self.next = 0
        """The first tick that was not told yet."""

    def at(self, number: int) -> int:
        """When a tick is due."""
        return self.start + number * self.period

    def due(self, now: int) -> Tick | None:
        """The latest tick whose time has come; None if it was told already.

        Those between the last one told and this one are missed: counted, never made up for.
        """
        number = (now - self.start) // self.period
        missed = number - self.next
        if missed < 0:
            return None
        self.next = number + 1
        return Tick(number, missed)


class Ticker:
    """Ticks for one task: ``async for tick in ticker``, or ``await ticker.next()``.

    The first is due when the ticker is made. `period` is in seconds; `missed` counts all
    ticks so far for which the task was not there. Close it, or make it by ``with``.
    """

    def __init__(self, period: float, *, timer: bool = timerfd.AVAILABLE) -> None:
        if not SHORTEST <= period <= 1e9:
            raise ValueError(f"a period of {period} s: give {SHORTEST:f} or more")
        self.schedule = Schedule(time.monotonic_ns(), round(period * SECOND))
        self.missed = 0
        self._early = min(EARLY, self.schedule.period // 10)
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._open = True
        self._descriptor = -1
        if timer:
            first = self.schedule.start - self._early
            self._descriptor = timerfd.periodic(first, self.schedule.period)
            self._loop.add_reader(self._descriptor, self._ring)

    async def next(self) -> Tick:
        """Wait for the next tick. Raises `RuntimeError` once the ticker is closed."""
        if time.monotonic_ns() >= self.schedule.at(self.schedule.next):
            await asyncio.sleep(0)  # a task that is always late must not keep the loop to itself
        while self._open:
            now = time.monotonic_ns()
            if tick := self.schedule.due(now):
                self.missed += tick.missed
                return tick
            wait = self.schedule.at(self.schedule.next) - self._early - now
            await (self._rung(wait) if wait > 0 else asyncio.sleep(0))
        raise RuntimeError("the ticker is closed")

    def close(self) -> None:
        """Stop ticking; a task that still waits is cancelled. May be called twice."""
        self._open = False
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
        if self._waiter is not None:
            self._waiter.cancel()

    async def _rung(self, wait: int) -> None:
        self._waiter = self._loop.create_future()
        timer = None if self._descriptor >= 0 else self._loop.call_later(wait / SECOND, self._wake)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _ring(self) -> None:
        os.read(self._descriptor, 8)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Tick:
        return await self.next()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
