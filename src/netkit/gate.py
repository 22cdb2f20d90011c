"""Whether newcomers are let in: while nothing stands against it.

Several things may stand against it at once: no place is free, the rate is used
up, memory or descriptors are short. Each is a reason with a name, and each goes
away by itself. Nobody is refused for them: newcomers wait in the kernel's queue.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable


class Gate:
    """The reasons not to accept.

    `pause` is called with the first of them, `resume` when the last is gone, and
    before that `others_first`: it lets in those who wait already, and may shut
    the gate again.
    """

    def __init__(
        self,
        pause: Callable[[], None],
        others_first: Callable[[], None],
        resume: Callable[[], None],
    ) -> None:
        self.reasons: set[str] = set()
        """What stands against newcomers now; they are let in while it is empty."""
        self.pauses: Counter[str] = Counter()
        """How often accepting has paused, by what was its first reason."""
        self._pause, self._others_first, self._resume = pause, others_first, resume
        self._paused = False

    def shut(self, reason: str) -> None:
        """Let nobody in until this reason is gone. Does nothing the second time."""
        self.reasons.add(reason)
        if not self._paused:
            self._paused = True
            self.pauses[reason] += 1
            self._pause()

    def lift(self, *reasons: str) -> None:
        """Hear that these reasons are gone, if they stood."""
        if self.reasons.isdisjoint(reasons):
            return
        self.reasons.difference_update(reasons)
        if not self.reasons:
            self._others_first()
        if not self.reasons and self._paused:
            self._paused = False
            self._resume()
