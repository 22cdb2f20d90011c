"""What runs short while a server runs, memory and descriptors: looked at once a second."""

from __future__ import annotations

import logging
from collections.abc import Callable

from netkit.allocator import trim_heap
from netkit.connections import Connections
from netkit.gate import Gate
from netkit.ledger import Account
from netkit.observability.vitals import descriptor_limit, descriptors, resident

log = logging.getLogger("netkit.server")

MIB = 2**20

REASON = "memory"

RELIEF = 0.95
"""Share of the memory below which newcomers are let in again: a pause lasts, and is logged once."""

SHORT = 0.9
"""Share of the descriptors in use above which it is time for a warning."""

AMPLE = 0.8
"""Share below which the next warning may come."""


def looks(connections: Connections, account: Account | None) -> list[Callable[[], None]]:
    """What to call once a second for one server; `account` if it is one of several workers."""

    def held() -> tuple[int, int]:
        own = resident(), len(connections.open)
        if account is None:
            return own
        account.report(*own)
        return account.held()

    headroom = Headroom(lambda: (descriptors(), descriptor_limit()))
    limit = connections.limits.memory * MIB
    ceiling = [Ceiling(limit, connections.gate, held).look] if limit else []
    return [headroom.look, *ceiling]


class Ceiling:
    """Keeps newcomers out while the memory of all workers together is over its limit.

    `held` says how much that is in bytes, and how many connections are open in all of
    them. With none open there is nobody to wait for: newcomers are let in then, so that
    a limit below what the server needs by itself is no dead end.
    """

    def __init__(
        self,
        limit: int,
        gate: Gate,
        held: Callable[[], tuple[int, int]],
        trim: Callable[[], object] | None = None,
    ) -> None:
        self._limit = limit
        self._gate = gate
        self._held = held
        self._trim = trim or trim_heap

    def look(self) -> None:
        """Shut the gate or lift that, by what is held now."""
        shut = REASON in self._gate.reasons
        enough = self._limit * RELIEF if shut else self._limit
        held, others = self._held()
        if held > enough:  # perhaps what connections have left behind, unused
            self._trim()
            held, others = self._held()
        if held > self._limit and others and not shut:
            log.warning(
                "newcomers wait: %d MiB of memory (--limit-memory %d)",
                held // MIB, self._limit // MIB,
            )  # fmt: skip
            self._gate.shut(REASON)
        elif shut and (held <= enough or not others):
            log.warning("newcomers are let in again: %d MiB of memory", held // MIB)
            self._gate.lift(REASON)


class Headroom:
    """Warns when descriptors run short, once until there are plenty again.

    `count` says how many are open, and how many there may be; 0 where that is not known.
    """

    def __init__(self, count: Callable[[], tuple[int, int]]) -> None:
        self._count = count
        self._warned = False

    def look(self) -> None:
        """Warn if it is time."""
        used, limit = self._count()
        if 0 < limit * SHORT < used and not self._warned:
            self._warned = True
            log.warning("%d of %d file descriptors are in use; raise ulimit -Hn", used, limit)
        elif used < limit * AMPLE:
            self._warned = False
