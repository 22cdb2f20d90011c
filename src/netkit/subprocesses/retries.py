"""Whether a job that failed is started once more, and when."""

from __future__ import annotations

import random
from dataclasses import dataclass

from netkit.subprocesses.events import End


@dataclass(frozen=True, slots=True)
class Retries:
    """Exponential back-off with jitter; seconds."""

    times: int = 0
    """Starts after the first."""
    on: frozenset[int] | None = None
    """Only for these exit codes, as `End.code` has them; None: for all but 0."""
    first: float = 1.0
    """Before the second start; twice as much before each one after that."""
    most: float = 60.0

    def wanted(self, end: End, attempt: int) -> bool:
        """Whether to start again after attempt number `attempt`, counted from 1."""
        if attempt > self.times or end.reason == "cancelled":
            return False
        return end.code != 0 if self.on is None else end.code in self.on

    def delay(self, attempt: int, dice: random.Random) -> float:
        """Seconds until the next start: from half to the whole of the back-off.

        So jobs that failed together, for want of the same thing, do not come back together.
        """
        whole = min(self.most, self.first * 2.0 ** min(attempt - 1, 60))
        return whole * (1 + dice.random()) / 2


NONE = Retries()
