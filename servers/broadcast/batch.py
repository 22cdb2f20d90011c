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

MOST = 256
"""Datagrams of a batch: their numbers change at most once in more than the lowest byte."""

_LOW = bytes(range(256)) * 2  # the lowest byte of consecutive numbers, for `MOST` of them


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
        # A bytearray's own join, since joined bytes would have to be copied to be numbered.
        self.buffer = bytearray(room + header).join([header + payloads[0], *payloads[1:]])
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
        first, size = self.first, self.size
        low = first & 0xFF
        self.buffer[NUMBER + 7 :: size] = _LOW[low : low + self.count]
        below = 256 - low  # those whose number has the first one's higher bytes
        if below < self.count:
            higher = (first + below).to_bytes(8, "big")
            start = below * size + NUMBER
            for at in range(7):
                if self.buffer[start + at] != higher[at]:
                    self.buffer[start + at :: size] = bytes([higher[at]]) * (self.count - below)


def _cut(buffer: bytearray, size: int, first: int, number: int) -> bytes:
    start = (number - first) * size
    return bytes(buffer[start : start + size])


def _made(header: bytes, payloads: Sequence[bytes], first: int, number: int) -> bytes:
    numbered = header[:NUMBER] + number.to_bytes(8, "big") + header[NUMBER + 8 :]
    return numbered + payloads[number - first]
