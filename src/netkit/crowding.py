"""How many connections one address may have.

Who has how many need not be known while there are fewer connections in all than
one address may have. So counting begins when it can matter, and ends when it no
longer can: on most servers a connection is never counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from netkit.limits import Limits
from netkit.peernames import is_loopback


class Crowding:
    """The connections of each address, counted while any can have too many."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.per_address
        self._loopback = limits.loopback
        self.counts: Counter[str] | None = None
        """How many each has; None while nobody can have too many."""

    def possible(self, others: int) -> bool:
        """Whether an address can have its share already, with so many connections in all.

        While connections are counted it always can: one that is left out would be missing.
        """
        return self.counts is not None or 0 < self._most <= others

    def admits(self, host: str, others: Iterable[str]) -> bool:
        """Whether `host` may have one more; `others` are the hosts of all connections."""
        if not self._counted(host):
            return True
        if self.counts is None:
            self.counts = Counter(filter(self._counted, others))
        if self.counts[host] >= self._most:
            return False
        self.counts[host] += 1
        return True

    def release(self, host: str, others: int) -> None:
        """Hear that a connection of `host` has ended, and how many are left."""
        if self.counts is None:
            return
        # Half, so that it is not all counted again when one more comes.
        if others < self._most // 2:
            self.counts = None
        elif self._counted(host):
            self.counts[host] -= 1
            if not self.counts[host]:
                del self.counts[host]

    def _counted(self, host: str) -> bool:
        return bool(host) and (self._loopback or not is_loopback(host))
