"""Many datagrams of equal size in one buffer, for one system call (UDP_SEGMENT).

Python's cost is per call, not per byte: all headers are the same but for the low bytes of their
numbers, so a buffer is joined from one header and the payloads, and each of those bytes
is written for all of them by one strided store. Fifty datagrams cost hardly more than one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netkit.feeds.format import SIZE
from netkit.feeds.sealing import Sealing

NUMBER = 16
"""Where the sequence number stands in a header, in 8 bytes."""

_LOW = bytes(range(256)) * 2  # the lowest byte of consecutive numbers, for up to 256 of them


class Batch:
    """Datagrams with payloads of one size, numbered from `first`; `header` is the first one's.

    `buffer` is theirs alone and does not change any more once it is sealed: it may be sent and
    kept without a copy.
    """

    def __init__(self, payloads: Sequence[bytes], header: bytes, first: int, seal: int = 0) -> None:
        self.count = len(payloads)
        self.size = SIZE + len(payloads[0]) + seal
        """Bytes of each datagram."""
        self.first = first
        self._seal = seal
        room = bytes(seal)
        self.buffer = bytearray(header)
        self.buffer += (room + header).join(payloads)
        self.buffer += room
        self._number()

    def datagrams(self) -> Iterator[memoryview]:
        """Each without its seal."""
        view = memoryview(self.buffer)
        for end in range(self.size, len(view) + 1, self.size):
            yield view[end - self.size : end - self._seal]

    def seal(self, sealing: Sealing) -> None:
        """Put a seal behind each."""
        for index, covered in enumerate(self.datagrams(), 1):
            end = index * self.size
            self.buffer[end - self._seal : end] = sealing.sign(covered)

    def _number(self) -> None:
        last = self.first + self.count - 1
        if self.first >> 8 != last >> 8:  # more than the lowest byte differs
            numbers = b"".join([n.to_bytes(8, "big") for n in range(self.first, last + 1)])
            for at in range(7):
                self.buffer[NUMBER + at :: self.size] = numbers[at::8]
        low = self.first & 0xFF
        self.buffer[NUMBER + 7 :: self.size] = _LOW[low : low + self.count]
