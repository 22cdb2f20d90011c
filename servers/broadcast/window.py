"""What was sent and may be asked for again.

What is sent again is the same byte for byte, seal included. How it is kept is known to who
sent it: of a batch it costs less to make one datagram again than to keep all in one piece.
"""

from __future__ import annotations

from bisect import bisect
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter


@dataclass(slots=True)
class Run:
    """Datagrams of `size` bytes each, numbered from `first` to before `stop`."""

    first: int
    stop: int
    size: int
    at: float
    again: Callable[[int], bytes]
    """Makes the one with this number as it was sent."""


_FIRST = attrgetter("first")


class Window:
    """The last datagrams of a feed: at most `most`, in `most_bytes`, for `seconds`.

    To append takes constant time for each run, to find a datagram a bisection. A run leaves
    as a whole when bytes or age ask for it.
    """

    def __init__(
        self, most: int, most_bytes: int = 64 * 1024 * 1024, seconds: float = float("inf")
    ) -> None:
        self.most = most
        self._most_bytes, self._seconds = most_bytes, seconds
        self._runs: deque[Run] = deque()
        self._bytes = 0
        self._next = 1

    def __len__(self) -> int:
        return self._next - self.oldest

    @property
    def oldest(self) -> int:
        """The lowest number that is kept; the next one if there is none."""
        if not self._runs:
            return self._next
        return max(self._runs[0].first, self._next - self.most)

    @property
    def following(self) -> int:
        """The number behind the last one sent."""
        return self._next

    @property
    def size(self) -> int:
        """Bytes of all that is kept."""
        return self._bytes

    def append(self, count: int, size: int, again: Callable[[int], bytes], now: float) -> None:
        """Keep the next `count` datagrams, of `size` bytes each; `again` makes one anew."""
        self._runs.append(Run(self._next, self._next + count, size, now, again))
        self._next += count
        self._bytes += count * size
        self.expire(now)

    def find(self, sequence: int) -> bytes | None:
        """This datagram as it was sent, or None if it was not yet or is gone."""
        if not self.oldest <= sequence < self._next:
            return None
        run = self._runs[bisect(self._runs, sequence, key=_FIRST) - 1]
        return run.again(sequence)

    def expire(self, now: float) -> None:
        """Forget what is too much or too old."""
        runs, lowest, earliest = self._runs, self._next - self.most, now - self._seconds
        while runs:
            run = runs[0]
            if run.stop > lowest and self._bytes <= self._most_bytes and run.at >= earliest:
                return
            del runs[0]
            self._bytes -= (run.stop - run.first) * run.size
