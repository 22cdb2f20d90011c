"""How many connections one address may have, and one network.

In one process, who has how many need not be known while there are fewer
connections in all than one may have. So counting begins when it can matter, and
ends when it no longer can: on most servers a connection is never counted.

With several workers nobody knows what the others have: every connection is
counted, in the memory that they share.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol

from netkit.ledger import Account
from netkit.origins import Group


class Crowding(Protocol):
    """The connections of each group, as far as any can have too many."""

    room: int
    """With fewer others, nobody can have too many and none need be counted; else all are."""

    def admits(self, origin: bytes, others: Iterable[bytes]) -> str:
        """Count one more; the limit that refuses it, empty if none does.

        `others` are the origins of all connections but this one, counted or not.
        """

    def release(self, origin: bytes, others: int) -> None:
        """Hear that one of those that were counted has ended, and how many are left."""


class ExactCrowding:
    """For one process: exact, and idle while there are few connections."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self._groups = groups
        self._least = min((group.most for group in groups), default=sys.maxsize)
        self._counts: list[Counter[bytes]] = []
        self.room = self._least

    def admits(self, origin: bytes, others: Iterable[bytes]) -> str:
        """See `Crowding`."""
        if not origin:
            return ""
        if not self._counts:
            self._begin(others)
        named = [(group, count, group.of(origin)) for group, count in self._each()]
        for group, count, name in named:
            if count[name] >= group.most:
                return group.limit
        for _, count, name in named:
            count[name] += 1
        return ""

    def release(self, origin: bytes, others: int) -> None:
        """See `Crowding`."""
        # Half, so that it is not all counted again when one more comes.
        if others < self._least // 2:
            self._counts, self.room = [], self._least
        elif origin:
            for group, count in self._each():
                name = group.of(origin)
                count[name] -= 1
                if not count[name]:
                    del count[name]

    def _begin(self, others: Iterable[bytes]) -> None:
        counted = list(filter(None, others))
        self._counts = [Counter(map(group.of, counted)) for group in self._groups]
        self.room = 0

    def _each(self) -> Iterable[tuple[Group, Counter[bytes]]]:
        return zip(self._groups, self._counts, strict=False)  # none are counted at times


class SharedCrowding:
    """For one of several workers: counts what all of them have.

    Two that come to two workers at the same moment, where one more may come, may both
    be refused; more than may come never get in.
    """

    def __init__(self, groups: Sequence[Group], account: Account) -> None:
        self._groups = groups
        self._account = account
        self.room = 0 if groups else sys.maxsize

    def admits(self, origin: bytes, others: Iterable[bytes]) -> str:
        """See `Crowding`."""
        if not origin:
            return ""
        added = []
        for group in self._groups:
            name = group.of(origin)
            added.append((group.limit, name))
            # Added before it is compared: of two at once, each sees the other.
            if not self._account.add(group.limit, name, group.most):
                for limit, other in added:
                    self._account.remove(limit, other)
                return group.limit
        return ""

    def release(self, origin: bytes, others: int) -> None:
        """See `Crowding`."""
        if origin:
            for group in self._groups:
                self._account.remove(group.limit, group.of(origin))
