"""What was sent and may be asked for again.

Datagrams are kept as they were sent, seal included, so that what is sent again is the
same byte for byte. A batch of equal-sized ones stays one buffer, and is cut when asked.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """Datagrams of `size` bytes each, one behind the other, numbered from `first`."""

    first: int
    size: int
    buffer: bytes | bytearray
    at: float

    @property
    def stop(self) -> int:
        """The number behind the last."""
        return self.first + len(self.buffer) // self.size


class Window:
    """The last datagrams of a feed: at most `most`, in `most_bytes`, for `seconds`.

    Appending and looking up take constant time for each run. A run leaves as a whole when
    bytes or age ask for it. Empty it takes eight bytes for each of `most`.
    """

    def __init__(
        self, most: int, most_bytes: int = 64 * 1024 * 1024, seconds: float = float("inf")
    ) -> None:
        self.most = most
        self._most_bytes, self._seconds = most_bytes, seconds
        # Number n is at n modulo `most`: found at once, and overwritten when it is too old.
        self._ring: list[Run | None] = [None] * most
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

    def append(self, first: int, datagrams: bytes | bytearray, size: int, now: float) -> None:
        """Keep one or more datagrams of `size` bytes each; `first` follows the last one kept."""
        run = Run(first, size, datagrams, now)
        self._runs.append(run)
        self._bytes += len(datagrams)
        self._next = run.stop
        self._place(run, run)
        self.expire(now)

    def find(self, sequence: int) -> bytes | None:
        """This datagram as it was sent, or None if it was not yet or is gone."""
        if not self.oldest <= sequence < self._next:
            return None
        run = self._ring[sequence % self.most]
        if run is None:
            return None
        start = (sequence - run.first) * run.size
        return bytes(run.buffer[start : start + run.size])

    def expire(self, now: float) -> None:
        """Forget what is too much or too old."""
        while self._runs and self._excess(self._runs[0], now):
            run = self._runs.popleft()
            self._bytes -= len(run.buffer)
            self._place(run, None)

    def _excess(self, oldest: Run, now: float) -> bool:
        return (
            oldest.stop <= self._next - self.most
            or self._bytes > self._most_bytes
            or oldest.at < now - self._seconds
        )

    def _place(self, run: Run, what: Run | None) -> None:
        """Have the run in the ring, or take it out where a later one has not replaced it."""
        low = max(run.first, self._next - self.most)
        if low >= run.stop:
            return
        start, stop = low % self.most, (run.stop - 1) % self.most + 1
        if start < stop:
            self._ring[start:stop] = [what] * (stop - start)
        else:
            self._ring[start:] = [what] * (self.most - start)
            self._ring[:stop] = [what] * stop
