"""Whether the terminal that a process was started from is still there.

The kernel sends HUP to the processes of a terminal that is closed (termios(3)),
and administrators send it to have something reloaded. A descriptor of a terminal
that is gone answers EIO from then on.
"""

from __future__ import annotations

import os


class Terminal:
    """Looks at the standard descriptors, now and when asked."""

    def __init__(self) -> None:
        self._terminals = [number for number in range(3) if os.isatty(number)]

    def is_gone(self) -> bool:
        """Whether there was one, and it hung up."""
        return any(not os.isatty(number) for number in self._terminals)
