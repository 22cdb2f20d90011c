"""Who may start now, and who waits: caps for all, for each caller and for each command.

No task, no clock. Who waits is asked in order of arrival, but one who still has to wait holds
up nobody behind who need not: a caller at its cap does not block the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from netkit.servers.runner.callers import Caller
from netkit.servers.runner.refusals import RefusedError


@dataclass(frozen=True)
class Caps:
    """How many jobs may run and wait."""

    running: int = 32
    running_per_caller: int = 8
    queued: int = 128
    queued_per_caller: int = 16


@dataclass(eq=False)
class Ticket:
    """A wish to run; `admit` is called once, when it may."""

    caller: Caller
    command: str
    concurrency: int | None
    """How many of this command may run at a time."""
    admit: Callable[[], None]


class Admission:
    """Holds the tickets of what runs and of what waits."""

    def __init__(self, caps: Caps) -> None:
        self._caps = caps
        self.waiting: list[Ticket] = []
        self._running: set[Ticket] = set()
        self._of_caller: Counter[Caller] = Counter()
        self._of_command: Counter[str] = Counter()

    @property
    def running(self) -> int:
        """How many run."""
        return len(self._running)

    def enter(self, ticket: Ticket) -> None:
        """Admit it now, or let it wait. Raises `RefusedError` if too many wait."""
        if self._has_room(ticket):
            self._admit(ticket)
            return
        caps = self._caps
        own = sum(each.caller == ticket.caller for each in self.waiting)
        if len(self.waiting) >= caps.queued or own >= caps.queued_per_caller:
            raise RefusedError("busy", "too many jobs run and wait; try again later")
        self.waiting.append(ticket)

    def ahead(self, ticket: Ticket) -> int:
        """How many came before it and still wait."""
        return self.waiting.index(ticket)

    def leave(self, ticket: Ticket) -> None:
        """Hear that it runs no more, or waits no more; others may come in its place."""
        if ticket in self._running:
            self._running.discard(ticket)
            for counter, key in self._counters(ticket):
                counter[key] -= 1
                if not counter[key]:
                    del counter[key]
        elif ticket in self.waiting:
            self.waiting.remove(ticket)
        for each in list(self.waiting):
            if self._has_room(each):
                self.waiting.remove(each)
                self._admit(each)

    def _has_room(self, ticket: Ticket) -> bool:
        caps = self._caps
        return (
            len(self._running) < caps.running
            and self._of_caller[ticket.caller] < caps.running_per_caller
            and self._of_command[ticket.command] < (ticket.concurrency or caps.running)
        )

    def _admit(self, ticket: Ticket) -> None:
        self._running.add(ticket)
        self._of_caller[ticket.caller] += 1
        self._of_command[ticket.command] += 1
        ticket.admit()

    def _counters(self, ticket: Ticket) -> tuple[tuple[Counter, object], ...]:  # type: ignore[type-arg]  # of two kinds
        return (self._of_caller, ticket.caller), (self._of_command, ticket.command)
