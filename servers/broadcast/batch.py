"""Many datagrams of equal size in one buffer, for one system call (UDP_SEGMENT).

Python's cost is per call, not per byte: all headers are the same but for the low bytes of their
numbers, so a buffer is joined from one header and the payloads, and each of those bytes
is written for all of them by one strided store. Fifty datagrams cost hardly more than one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, repeat

from netkit.feeds.format import SIZE
from netkit.feeds.sealing import Sealing

NUMBER = 16
"""Where the sequence number stands in a header, in 8 bytes."""


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
        room = repeat(bytes(seal))
        parts = chain.from_iterable(zip(repeat(header), payloads, room, strict=False))
        self.buffer = bytearray().join(parts)
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
        differ = ((self.first ^ last).bit_length() + 7) // 8
        ones, steps = _ladder(self.count)
        numbers = (self.first * ones + steps).to_bytes(8 * self.count, "big")
        for at in range(8 - differ, 8):
            self.buffer[NUMBER + at :: self.size] = numbers[at::8]


@lru_cache(maxsize=256)  # counts of batches are few
def _ladder(count: int) -> tuple[int, int]:
    """For `count` words of 64 bits in one number: 1 in each, and 0, 1, 2, … from the left.

    `first * ones + steps` is then `first`, `first + 1`, … without a loop.
    """
    shifts = [64 * (count - 1 - index) for index in range(count)]
    return sum(1 << shift for shift in shifts), sum(i << s for i, s in enumerate(shifts))
