"""How many lines a peer may send: a token bucket that is told the time."""

from __future__ import annotations


class Bucket:
    """Holds up to `burst` tokens and gains `rate` a second; a line takes one."""

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self._tokens = float(burst)
        self._since = now

    def take(self, wanted: int, now: float) -> int:
        """Take up to `wanted` tokens and return how many there were."""
        gained = max(0.0, now - self._since) * self.rate
        self._tokens = min(self.burst, self._tokens + gained)
        self._since = now
        taken = min(wanted, int(self._tokens))
        self._tokens -= taken
        return taken

    @property
    def calm(self) -> bool:
        """Whether a flood, if there was one, is over: half of the tokens are back."""
        return self._tokens >= self.burst / 2
