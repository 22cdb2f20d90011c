"""One time limit for many: a timer for the oldest of them, instead of one for each.

To make a timer of the loop's and to cancel it is a thirtieth of the work on a TLS handshake, and
next to none ever fire.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import takewhile
from typing import Generic, TypeVar

T = TypeVar("T")


class Deadlines(Generic[T]):
    """Calls `late` for whoever has not ended by its deadline, and forgets it."""

    def __init__(
        self, late: Callable[[T], object], loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        self._late = late
        self._loop = loop or asyncio.get_running_loop()
        self._waiting: dict[T, float] = {}
        """In the order of their deadlines."""
        self._latest = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._odd: dict[T, asyncio.TimerHandle] = {}
        """Those who came out of that order."""

    def begin(self, who: T, deadline: float) -> None:
        """Call `late` at `deadline`, in the loop's time, unless `who` has ended by then."""
        if deadline < self._latest:
            self._odd[who] = self._loop.call_at(deadline, self._fall_due, who)
            return
        self._waiting[who] = self._latest = deadline
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._look)

    def end(self, who: T) -> None:
        """Forget `who`. Does nothing the second time."""
        if self._waiting.pop(who, None) is None and self._odd:
            timer = self._odd.pop(who, None)
            if timer is not None:
                timer.cancel()

    def _fall_due(self, who: T) -> None:
        self._odd.pop(who, None)
        self._late(who)

    def _look(self) -> None:
        """Tell those who are late; look again when the next one would be."""
        now = self._loop.time()
        due = list(takewhile(lambda each: each[1] <= now, self._waiting.items()))
        try:
            for who, _ in due:
                if self._waiting.pop(who, None) is not None:  # not ended by what another does
                    self._late(who)
        finally:
            self._timer = None
            if self._waiting:
                oldest = next(iter(self._waiting.values()))
                self._timer = self._loop.call_at(oldest, self._look)
