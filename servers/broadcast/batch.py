"""Many datagrams of equal size in one buffer, for a few system calls (UDP_SEGMENT).

Python's cost is per call, not per byte: all headers are the same but for the low bytes of their
numbers, so a buffer is joined from one header and the payloads, and each of those bytes
is written for all of them by one strided store. What is left for each is its place in the join.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from netkit.feeds.format import SIZE
from netkit.feeds.sealing import Sealing

NUMBER = 16
"""Where the sequence number stands in a header, in 8 bytes."""

MOST = 1024
"""Datagrams of a batch: what Python does for each batch costs as much as several system calls."""

MOST_BYTES = 1_310_720
"""Of a batch: as many of 1,200 bytes still are in the nearer caches when they are sent."""

_LOW = bytes(range(256)) * (MOST // 256 + 1)  # the lowest byte of `MOST` consecutive numbers


class Batch:
    """At most `MOST` datagrams with payloads of one size, from `first`; `header` is that one's.

    `buffer` is theirs alone and does not change any more once it is sealed. Nor may `payloads`.
    """

    def __init__(self, payloads: Sequence[bytes], header: bytes, first: int, seal: int = 0) -> None:
        self.count = len(payloads)
        self.size = SIZE + len(payloads[0]) + seal
        """Bytes of each datagram."""
        self.first = first
        self._payloads, self._header, self._seal = payloads, header, seal
        room = bytes(seal)
        parts = list(payloads)
        parts[0] = header + parts[0]
        # A bytearray's own join, since joined bytes would have to be copied to be numbered.
        self.buffer = bytearray(room + header).join(parts)
        if seal:
            self.buffer += room
        self._number()

    def kept(self) -> Callable[[int], bytes]:
        """What makes one of them again, by its number; unsealed it does not hold `buffer`."""
        if self._seal:
            return partial(_cut, self.buffer, self.size, self.first)
        # The payloads are there already: a copy would go to memory that no cache holds, and
        # take more time than all the rest of a batch.
        return partial(_made, self._header, self._payloads, self.first)

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
        first, size, stop = self.first, self.size, self.first + self.count
        low = first & 0xFF
        self.buffer[NUMBER + 7 :: size] = _LOW[low : low + self.count]
        for number in range(first - low + 256, stop, 256):  # each with other higher bytes
            higher, count = (number >> 8).to_bytes(7, "big"), min(256, stop - number)
            for at in range(7):
                if higher[at] != self._header[NUMBER + at]:
                    start = (number - first) * size + NUMBER + at
                    self.buffer[start : start + count * size : size] = bytes([higher[at]]) * count


def _cut(buffer: bytearray, size: int, first: int, number: int) -> bytes:
    start = (number - first) * size
    return bytes(buffer[start : start + size])


def _made(header: bytes, payloads: Sequence[bytes], first: int, number: int) -> bytes:
    numbered = header[:NUMBER] + number.to_bytes(8, "big") + header[NUMBER + 8 :]
    return numbered + payloads[number - first]
