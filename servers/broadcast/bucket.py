"""A rate and no more: tokens that come steadily, in datagrams or in bits."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from netkit.errors import UsageError

BURST = 0.01
"""Seconds of its rate that a bucket keeps: what may leave at once after a silence."""
_PREFIXES = {"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}
_RATE = re.compile(r"(\d+(?:\.\d+)?|\.\d+) ?([kKMG]?)(bit/s|bit|bps|/s|)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second: bits of datagrams, without headers of UDP and IP, or datagrams."""

    per_second: float
    bits: bool

    def cost(self, datagrams: int, size: int) -> float:
        """Tokens for so many datagrams of `size` bytes each."""
        return float(datagrams * size * 8 if self.bits else datagrams)


def parse_rate(text: str) -> Rate:
    """A rate as people write it: ``5000/s`` of datagrams, ``10M`` or ``10Mbit/s`` of bits.

    Prefixes are decimal. Raises UsageError that quotes the text.
    """
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            f"{text!r} is no rate: write 5000/s for datagrams, 10Mbit/s or 10M for bits"
        )
    figure, prefix, unit = match.groups()
    if not prefix and not unit:
        raise UsageError(f"{text!r}: of what? {figure}/s are datagrams, {figure}bit/s are bits")
    per_second = float(figure) * _PREFIXES[prefix]
    if not 0 < per_second < math.inf:
        raise UsageError(f"{text!r}: a rate is more than nothing; leave it out for no limit")
    return Rate(per_second, bits=unit != "/s")


class Bucket:
    """Tokens that come `per_second`; at most `burst` are kept, by default `BURST` seconds' worth.

    No clock: `now` is in seconds. What costs more than `burst` waits until the bucket is
    full and leaves it in debt, so that the rate holds and nothing waits for ever.
    """

    def __init__(self, per_second: float, now: float, burst: float | None = None) -> None:
        self._per_second = per_second
        self._burst = max(1.0, per_second * BURST) if burst is None else burst
        self._tokens = self._burst
        self._at = now

    def delay(self, now: float, cost: float) -> float:
        """Seconds until so much may be spent: 0 if it may be now."""
        self._fill(now)
        return max(0.0, (min(cost, self._burst) - self._tokens) / self._per_second)

    def spend(self, now: float, cost: float) -> None:
        """Take so much out, whether it is there or not."""
        self._fill(now)
        self._tokens -= cost

    def _fill(self, now: float) -> None:
        passed = max(0.0, now - self._at)
        self._tokens = min(self._burst, self._tokens + passed * self._per_second)
        self._at = max(self._at, now)
