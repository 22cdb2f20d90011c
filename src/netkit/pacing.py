"""So many newcomers a second and no more: a token bucket, and the timer that goes with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from netkit.gate import Gate

BREATH = 0.02
"""Least seconds of a pause: pausing costs about as much as accepting one."""


class Bucket:
    """Tokens that come at a rate; a second's worth of them is kept, and at least one.

    `rate` is asked each time, since it may change. No clock: `now` is in seconds.
    """

    def __init__(self, rate: Callable[[], float], now: float) -> None:
        self._rate = rate
        self._at = now
        self._tokens = max(1.0, rate())

    def take(self, now: float) -> float:
        """Take one token; seconds until there is another, 0 if there is."""
        rate = self._rate()
        self._tokens = min(max(1.0, rate), self._tokens + (now - self._at) * rate) - 1.0
        self._at = now
        return max(0.0, (1.0 - self._tokens) / rate)


class Pace:
    """Shuts a gate when the tokens are used up, and lifts that when there are some again."""

    def __init__(self, rate: Callable[[], float], gate: Gate) -> None:
        self._loop = asyncio.get_running_loop()
        self._bucket = Bucket(rate, self._loop.time())
        self._gate = gate
        self._timer: asyncio.TimerHandle | None = None

    def let_in(self) -> None:
        """Count one who was let in."""
        wait = self._bucket.take(self._loop.time())
        if wait and self._timer is None:
            self._timer = self._loop.call_later(max(wait, BREATH), self._lift)
            self._gate.shut("rate")

    def stop(self) -> None:
        """Lift nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _lift(self) -> None:
        self._timer = None
        self._gate.lift("rate")
