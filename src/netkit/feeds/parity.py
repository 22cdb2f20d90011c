"""Parity: after `k` datagrams come `r` more, and any `k` of them all restore the rest.

What is protected of each is its symbol: the length of its payload, its time, its
payload. Time and payload stand side by side in a datagram, so a symbol is cut out of it
in one piece. One parity symbol is the exclusive or of all; more are made by zfec, a
systematic Reed-Solomon code over GF(2⁸) (Rizzo, "Effective erasure codes", 1997).

More than one needs the extra: ``pip install netkit-serve[parity]`` (zfec).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from netkit.errors import UsageError
from netkit.feeds.format import SIZE, MalformedError

MOST = 256
"""Data and parity datagrams of one block together: the size of the field."""
OVERHEAD = 10
"""Bytes by which a parity datagram is longer than the longest of its block."""
_TIME = 24  # where the time stands in a datagram, just before the payload
_LENGTH = 2


class Symbol(NamedTuple):
    """A parity datagram in the making: `sequence` and `extra` of its header, its payload."""

    sequence: int
    extra: int
    payload: bytes


class Restored(NamedTuple):
    """A datagram that was lost, computed from others of its block."""

    sequence: int
    time: int
    payload: bytes


class Parity:
    """The sender's side: takes datagrams as they are numbered, gives symbols for each block.

    Raises UsageError if the numbers do not fit, or need zfec and it is not there.
    """

    def __init__(self, data: int, parity: int = 1) -> None:
        if not (data >= 1 and parity >= 1 and data + parity <= MOST):
            raise UsageError(
                f"{parity} parity datagrams for {data}: each at least 1, together at most {MOST}"
            )
        if parity > 1:
            _zfec()
        self._data = data
        self._parity = parity
        self._first = 0
        self._symbols: list[bytes] = []

    def add(self, sequence: int, datagram: bytes | memoryview) -> list[Symbol]:
        """Take the next datagram, without its seal; the symbols if that was a block's last."""
        if not self._symbols:
            self._first = sequence
        self._symbols.append(_symbol(datagram))
        return self.flush() if len(self._symbols) == self._data else []

    def flush(self) -> list[Symbol]:
        """End a block before it is full, when nothing follows for a while."""
        k, symbols = len(self._symbols), self._symbols
        self._symbols = []
        if not symbols:
            return []
        size = max(map(len, symbols))
        if self._parity == 1:
            made = [_xor(symbols, size)]
        else:
            padded = tuple(symbol.ljust(size, b"\0") for symbol in symbols)
            made = _encoder(k, self._parity).encode(padded, tuple(range(k, k + self._parity)))
        extra = k << 16 | self._parity << 8
        return [Symbol(self._first, extra | index, each) for index, each in enumerate(made)]


@dataclass(slots=True)
class _Block:
    """A block that lacks more than has come of its parity."""

    first: int
    data: int
    parity: int
    size: int
    missing: set[int]
    symbols: dict[int, bytes] = field(default_factory=dict)


class Restorer:
    """The listener's side: takes what comes of a feed, gives what can be computed of the rest.

    Bounded: it keeps the last `datagrams` datagrams and at most `blocks` blocks that wait
    for more, each of both in at most `size` bytes; the oldest are forgotten.
    """

    def __init__(
        self, *, datagrams: int = 4096, blocks: int = 64, size: int = 16 * 1024 * 1024
    ) -> None:
        self._most_datagrams, self._most_blocks, self._most_bytes = datagrams, blocks, size
        self._kept: dict[int, tuple[int, int, bytes, int]] = {}
        self._runs: deque[tuple[range, int]] = deque()
        self._kept_count = self._kept_bytes = 0
        self._blocks: dict[int, _Block] = {}
        self._block_of: dict[int, _Block] = {}
        self._symbol_bytes = 0
        self.failed = 0
        """Blocks whose datagrams contradict each other: somebody else's are among them."""
        self.lacking = False
        """Parity came that only zfec can use, and it is not installed."""

    def keep(
        self, first: int, count: int, buffer: bytes | memoryview, size: int, seal: int = 0
    ) -> list[Restored]:
        """Take `count` datagrams of `size` bytes each, numbered from `first`, as they came.

        `seal` is the bytes of the seal at the end of each. Gives what they restore.
        """
        numbers = range(first, first + count)
        run = (first, size, bytes(buffer), seal)
        self._kept.update(dict.fromkeys(numbers, run))
        self._runs.append((numbers, len(buffer)))
        self._kept_count += count
        self._kept_bytes += len(buffer)
        while self._kept_count > self._most_datagrams or self._kept_bytes > self._most_bytes:
            self._forget_run()
        if not self._block_of or self._block_of.keys().isdisjoint(numbers):
            return []
        return self._come(numbers)

    def parity(self, first: int, extra: int, payload: bytes | memoryview) -> list[Restored]:
        """Take a parity datagram: `sequence` and `extra` of its header, its payload.

        Gives what it restores. Raises `MalformedError` with `slug` ``parity`` if it is not
        as specified, or unlike others of its block.
        """
        k, r, index = _layout(first, extra, payload)
        if r > 1 and not _has_zfec():
            self.lacking = True
            return []
        block = self._blocks.get(first)
        if block is None:
            missing = {number for number in range(first, first + k) if number not in self._kept}
            if not missing:
                return []
            block = self._start(_Block(first, k, r, len(payload), missing))
        elif (block.data, block.parity, block.size) != (k, r, len(payload)):
            raise MalformedError("parity")
        if index not in block.symbols:
            block.symbols[index] = bytes(payload)
            self._symbol_bytes += block.size
        restored = self._restore(block)
        while len(self._blocks) > self._most_blocks or self._symbol_bytes > self._most_bytes:
            self._end(next(iter(self._blocks.values())))
        return restored

    def _come(self, numbers: range) -> list[Restored]:
        """Blocks that waited for these numbers may be complete, or restorable."""
        restored = []
        for number in numbers:
            block = self._block_of.pop(number, None)
            if block is not None and block.first in self._blocks:
                block.missing.discard(number)
                restored += self._restore(block)
        return restored

    def _start(self, block: _Block) -> _Block:
        self._blocks[block.first] = block
        self._block_of.update(dict.fromkeys(block.missing, block))
        return block

    def _end(self, block: _Block) -> None:
        del self._blocks[block.first]
        self._symbol_bytes -= len(block.symbols) * block.size
        for number in block.missing:
            if self._block_of.get(number) is block:
                del self._block_of[number]

    def _restore(self, block: _Block) -> list[Restored]:
        if len(block.missing) > len(block.symbols):
            return []
        self._end(block)
        numbers = range(block.first, block.first + block.data)
        have = {n: self._symbol(n) for n in numbers if n not in block.missing}
        try:
            symbols = _solve(block, have)
            restored = [_read(number, symbols[number]) for number in sorted(block.missing)]
        except (KeyError, ValueError, OverflowError):
            self.failed += 1
            return []
        for each in restored:
            datagram = bytes(_TIME) + each.time.to_bytes(8, "big") + each.payload
            self.keep(each.sequence, 1, datagram, len(datagram))
        return restored

    def _symbol(self, number: int) -> bytes:
        run = self._kept.get(number)
        if run is None:  # forgotten since the block began
            return b""
        first, size, buffer, seal = run
        start = (number - first) * size
        return _symbol(buffer[start : start + size - seal])

    def _forget_run(self) -> None:
        numbers, size = self._runs.popleft()
        self._kept_count -= len(numbers)
        self._kept_bytes -= size
        for number in numbers:
            self._kept.pop(number, None)


def _layout(first: int, extra: int, payload: bytes | memoryview) -> tuple[int, int, int]:
    zero, k, r, index = extra.to_bytes(4, "big")
    fits = not zero and k and index < r and k + r <= MOST and len(payload) >= OVERHEAD
    if not fits or not 1 <= first <= 2**64 - k:
        raise MalformedError("parity")
    return k, r, index


def _symbol(datagram: bytes | memoryview) -> bytes:
    return (len(datagram) - SIZE).to_bytes(_LENGTH, "big") + datagram[_TIME:]


def _read(number: int, symbol: bytes) -> Restored:
    end = OVERHEAD + int.from_bytes(symbol[:_LENGTH], "big")
    if end > len(symbol) or symbol[end:].strip(b"\0"):
        raise ValueError("no symbol of a datagram")
    return Restored(number, int.from_bytes(symbol[_LENGTH:OVERHEAD], "big"), symbol[OVERHEAD:end])


def _xor(symbols: Iterable[bytes], size: int) -> bytes:
    """Of symbols of any length: zeros behind a number's highest byte change nothing."""
    total = 0
    for symbol in symbols:
        total ^= int.from_bytes(symbol, "little")
    return total.to_bytes(size, "little")


def _solve(block: _Block, have: dict[int, bytes]) -> dict[int, bytes]:
    """The missing symbols; any error of lookup or size means that the block is inconsistent."""
    if max(map(len, have.values()), default=0) > block.size or not all(have.values()):
        raise ValueError("longer than its parity, or forgotten")
    if block.parity == 1:
        (number,) = block.missing
        return {number: _xor([*have.values(), block.symbols[0]], block.size)}
    numbers = [number - block.first for number in have]
    shares = [symbol.ljust(block.size, b"\0") for symbol in have.values()]
    for index, symbol in list(block.symbols.items())[: block.data - len(shares)]:
        numbers.append(block.data + index)
        shares.append(symbol)
    decoder = _decoder(block.data, block.parity)
    solved: Sequence[bytes] = decoder.decode(tuple(shares), tuple(numbers))
    return dict(enumerate(solved, block.first))


@lru_cache(maxsize=64)  # a matrix costs more than a block; feeds have few shapes
def _encoder(k: int, r: int) -> Any:
    return _zfec().Encoder(k, k + r)


@lru_cache(maxsize=64)
def _decoder(k: int, r: int) -> Any:
    return _zfec().Decoder(k, k + r)


def _zfec() -> Any:
    try:
        import zfec  # type: ignore[import-untyped]  # it has none
    except ImportError:
        raise UsageError(
            "more than one parity datagram for a block needs zfec:"
            " pip install 'netkit-serve[parity]'"
        ) from None
    return zfec


@lru_cache(maxsize=1)
def _has_zfec() -> bool:
    try:
        _zfec()
    except UsageError:
        return False
    return True
