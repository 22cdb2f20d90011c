"""What a listener knows of a feed's sender: where to ask it, and for which numbers.

**Where asks go.** A feed's address is the one that its first data came from. A seal doesn't
cover a source address, and without a seal anybody can write one, so data are taken from
everywhere (a sender may well have several addresses), but the address for asks changes only
when new data come from elsewhere while the present one has been silent for `SILENT`
seconds. In a sealed feed nobody but the sender makes new data, so that a replay moves
nothing. In one without seals somebody who forges a feed can have us ask whom he
likes; what that amounts to is bounded by `asking.Patience`.
"""

from __future__ import annotations

from netkit.clients.listen.events import Address

SILENT = 2.0
"""Seconds without anything from a feed's address before another may take its place."""
NOTHING = 2**64
"""The first number that may be asked for, if none may."""


class Source:
    """One feed's."""

    def __init__(self, address: Address, now: float, *, repair: bool) -> None:
        self.address = address
        self.moves = 0
        """Changes of it."""
        self._heard = now
        self._askable = 0 if repair else NOTHING
        self._told = 0
        self._asked = 0

    @property
    def askable(self) -> int:
        """The first number that the sender still has."""
        return self._askable

    def began(self, address: Address, now: float) -> None:
        """Hear the first data from here."""
        self.address, self._heard = address, now

    def heard(self, address: Address, now: float, *, fresh: bool) -> None:
        """Hear data or a heartbeat from here; `fresh` are data that are no repetition."""
        if address == self.address:
            self._heard = now
        elif fresh and now - self._heard > SILENT:
            self.began(address, now)
            self.moves += 1

    def keeps(self, sequence: int, extra: int) -> None:
        """Hear from the datagram with this number that `extra` before it may be asked for."""
        if sequence >= self._told:  # what is sent again tells of a window that has passed
            self._told = sequence
            self._askable = max(self._askable, sequence - extra if extra else sequence + 1)

    def newly_asked(self, time: int) -> bool:
        """Whether an *asked* of this time is newer than those before it.

        Somebody who repeats an old one would else keep us from asking.
        """
        newer = time > self._asked
        self._asked = max(self._asked, time)
        return newer
