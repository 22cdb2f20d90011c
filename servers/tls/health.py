"""Whether an upstream is up: what its checks make of it.

Rules:

- It is taken for up from the start, but its first failure then takes it down: there is
  nothing yet that speaks for it.
- One that is up goes down after `fall` failures on end, and comes up again after `rise`
  successes on end.
- A client's connection that fails counts as a failed check, one that succeeds as a passed
  one: an upstream that dies is found out by those who use it, between two checks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass
class Health:
    """One upstream's; no clock and no socket."""

    rise: int = 2
    fall: int = 3
    up: bool = True
    streak: int = 0
    """Successes on end while it is down, failures on end while it is up."""
    proven: bool = False
    """Whether it has ever been reached."""

    def passed(self) -> bool:
        """Hear of a success; True if it comes up by that."""
        self.proven = True
        if self.up:
            self.streak = 0
            return False
        self.streak += 1
        return self._turned(self.rise)

    def failed(self) -> bool:
        """Hear of a failure; True if it goes down by that."""
        if not self.up:
            self.streak = 0
            return False
        self.streak += 1
        return self._turned(self.fall if self.proven else 1)

    def _turned(self, wanted: int) -> bool:
        if self.streak < wanted:
            return False
        self.up, self.streak = not self.up, 0
        return True


async def watch(
    attempt: Callable[[], Awaitable[None]],
    passed: Callable[[], None],
    failed: Callable[[OSError], None],
    every: float,
) -> None:
    """Check an upstream for ever, `every` so many seconds after the end of the last check."""
    while True:
        try:
            await attempt()
        except OSError as error:  # TimeoutError among them
            failed(error)
        else:
            passed()
        await asyncio.sleep(every)  # the pace of checking
