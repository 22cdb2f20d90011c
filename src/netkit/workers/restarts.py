"""How long to wait before a worker is started again. No clock, no process."""

from __future__ import annotations

from dataclasses import dataclass

SHORT_LIFE = 5.0
"""Seconds of serving after which an end is no longer taken for a failed start."""


@dataclass
class Restarts:
    """The delays of one place in the crew: none after a good life, else doubling."""

    first: float = 0.25
    """Seconds before the second try."""
    most: float = 30.0
    failures: int = 0

    def after(self, served: float) -> float:
        """Seconds to wait after a worker that served so many seconds (0: it never was ready)."""
        if served >= SHORT_LIFE:
            self.failures = 0
            return 0.0
        self.failures += 1
        # The first early death costs nothing: its place must be served again soon.
        if served and self.failures == 1:
            return 0.0
        return float(min(self.first * 2 ** min(self.failures - 1, 16), self.most))
