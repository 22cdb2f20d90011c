"""What a feed's arrivals say of the way here: counts, rate, jitter, latency.

Latency is the time of arrival less the time of sending, and those are read from two clocks:
it is as true as the clocks agree, and negative where the sender's is ahead. Jitter needs no
agreement: it is made of differences on either clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

SLOTS = 10
"""Into so many parts a second is divided for the rate."""
_PRECISION = 6
_FINE = 1 << _PRECISION


@dataclass(slots=True)
class Counts:
    """Datagrams of a feed by what became of them, beside those that `Order` counts."""

    bytes: int = 0
    """Of payloads, each counted once."""
    repaired: int = 0
    restored: int = 0
    reordered: int = 0
    """Came after a higher number, without having been asked for (RFC 4737)."""
    duplicates: int = 0
    late: int = 0
    """Came after they had been given up: counted in `lost` and not delivered."""
    earlier: int = 0
    """From before the first that was heard."""
    doubted: int = 0
    """Too far ahead, and not confirmed."""
    replayed: int = 0
    """*asked* that are not newer than the last one."""


class Rate:
    """Datagrams and bytes of a sliding second.

    Its ten tenths are whole ones, so it is up to a tenth of a second behind.
    """

    def __init__(self) -> None:
        self._slot = 0
        self._counts = [0] * (SLOTS + 1)
        self._sizes = [0] * (SLOTS + 1)

    def add(self, count: int, size: int, now: float) -> None:
        """Count so many that came now, with so many bytes together."""
        at = int(now * SLOTS)
        if at != self._slot:
            self._turn(at)
        at %= SLOTS + 1
        self._counts[at] += count
        self._sizes[at] += size

    def read(self, now: float) -> tuple[int, int]:
        """Datagrams and bytes in the second that ended with the last whole tenth."""
        self._turn(int(now * SLOTS))
        at = self._slot % (SLOTS + 1)
        return sum(self._counts) - self._counts[at], sum(self._sizes) - self._sizes[at]

    def _turn(self, slot: int) -> None:
        for at in range(max(self._slot + 1, slot - SLOTS), slot + 1):
            self._counts[at % (SLOTS + 1)] = self._sizes[at % (SLOTS + 1)] = 0
        self._slot = max(self._slot, slot)


class Jitter:
    """The interarrival jitter of RFC 3550, section 6.4.1, computed as in appendix A.8."""

    def __init__(self) -> None:
        self.value = 0.0
        """Nanoseconds."""
        self._transit: int | None = None

    def add(self, sent: int, arrived: int) -> None:
        """Count one datagram; nanoseconds, each on its own clock."""
        transit = arrived - sent
        if self._transit is not None:
            self.value += (abs(transit - self._transit) - self.value) / 16
        self._transit = transit

    def run(self, count: int, first_sent: int, last_sent: int, arrived: int) -> None:
        """Count datagrams that were read at one moment and sent at even distances.

        The same as `add` for each: all differences after the first are alike, so that the
        recurrence is a geometric series.
        """
        self.add(first_sent, arrived)
        if count > 1:
            step = abs(last_sent - first_sent) / (count - 1)
            self.value = step + (self.value - step) * (15 / 16) ** (count - 1)
            self._transit = arrived - last_sent


class Histogram:
    """Counts of nanoseconds in buckets that grow with the value, negative ones too.

    A percentile is wrong by 0.8 % at most (half of 1/64). 64-bit values need at most 7,552
    buckets, and one that is empty takes no memory.
    """

    def __init__(self) -> None:
        self.count = 0
        self.least = self.most = 0
        """Exact; 0 as long as there is none."""
        self._buckets: dict[int, int] = {}

    def add(self, value: int, count: int = 1) -> None:
        """Count this value, `count` times."""
        if not self.count:
            self.least = self.most = value
        elif value < self.least:
            self.least = value
        elif value > self.most:
            self.most = value
        self.count += count
        bucket = _bucket(value)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + count

    def percentile(self, percent: float) -> int | None:
        """The least value that is not exceeded by so many percent; None without any."""
        wanted = max(1, ceil(self.count * percent / 100))
        passed = 0
        for bucket in sorted(self._buckets):
            passed += self._buckets[bucket]
            if passed >= wanted:
                return min(max(_middle(bucket), self.least), self.most)
        return None


def _bucket(value: int) -> int:
    if value < 0:
        return ~_bucket(-value)
    if value < 2 * _FINE:
        return value
    shift = value.bit_length() - _PRECISION - 1
    return (shift << _PRECISION) + (value >> shift)


def _middle(bucket: int) -> int:
    if bucket < 0:
        return -_middle(~bucket)
    if bucket < 2 * _FINE:
        return bucket
    shift = (bucket >> _PRECISION) - 1
    return ((bucket & _FINE - 1 | _FINE) << shift) + (1 << shift) // 2


class Statistics:
    """Rate, jitter and latency of one feed."""

    def __init__(self) -> None:
        self.rate = Rate()
        self.jitter = Jitter()
        self.latency = Histogram()

    def add(self, size: int, sent: int, arrived: int, now: float, *, direct: bool) -> None:
        """Count a new payload of `size` bytes; times are in nanoseconds, `now` in seconds.

        One that is not `direct` was sent again: its latency counts, jitter it says nothing of.
        """
        self.rate.add(1, size, now)
        self.latency.add(arrived - sent)
        if direct:
            self.jitter.add(sent, arrived)

    def run(
        self, count: int, size: int, first_sent: int, last_sent: int, arrived: int, now: float
    ) -> None:
        """Count new payloads read at one moment, `size` bytes together.

        Half of them are counted with the first one's latency and half with the last one's.
        """
        self.rate.add(count, size, now)
        self.jitter.run(count, first_sent, last_sent, arrived)
        self.latency.add(arrived - first_sent, (count + 1) // 2)
        if count > 1:
            self.latency.add(arrived - last_sent, count // 2)
