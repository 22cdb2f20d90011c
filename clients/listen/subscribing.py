"""A subscription that talks: its questions go out, its answers are told apart from the feed."""

from __future__ import annotations

import time
from collections.abc import Callable

from netkit.clients.listen.subscription import Happening, Subscription
from netkit.feeds.format import SIZE, Kind, MalformedError, unpack

_ANSWERS = frozenset({Kind.CHALLENGE, Kind.SUBSCRIBED, Kind.REFUSED})


class Subscriber:
    """Drives `subscription`: `ask` sends its questions, `told` hears what becomes of it.

    Whoever has it calls `tick` at `deadline`, the first of which is at once.
    """

    def __init__(
        self,
        subscription: Subscription,
        ask: Callable[[bytes], None],
        told: Callable[[Happening], None],
    ) -> None:
        self._subscription = subscription
        self._ask = ask
        self._told = told

    @property
    def deadline(self) -> float | None:
        """When to call `tick`."""
        return self._subscription.deadline

    @property
    def subscribed(self) -> bool:
        """Whether there is a subscription to leave."""
        return self._subscription.until is not None

    def hear(self, datagram: bytes, now: float) -> bool:
        """Whether this is an answer to a subscriber, and so not the feed's."""
        try:
            header = unpack(datagram)
            if header.kind not in _ANSWERS:
                return False
            happenings = self._subscription.receive(header, datagram[SIZE:], now)
        except MalformedError:
            return False  # the feeds count it by its reason
        self._tell(happenings)
        return True

    def tick(self, now: float) -> None:
        """Ask, or ask again, if it is time."""
        if self.deadline is not None and self.deadline <= now:
            self._tell(self._subscription.tick(now))

    def leave(self, now: float) -> None:
        """Ask to be left out."""
        self._subscription.leave(now)
        self._tell([])

    def _tell(self, happenings: list[Happening]) -> None:
        for datagram in self._subscription.outgoing(time.time_ns()):
            self._ask(datagram)
        for happening in happenings:
            self._told(happening)
