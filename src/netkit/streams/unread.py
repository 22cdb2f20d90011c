"""What has arrived and nobody has read yet: pieces as the loop made them.

`asyncio.StreamReader` copies what the loop has read into a bytearray, and twice more on
the way out of it. Here:

- A piece that is taken whole is handed out itself, without a copy.
- What is taken of several pieces is copied once, when they are joined.
- What does not hold a separator yet is put together in a bytearray, to which all that
  arrives is added until that is empty. So each byte is copied and searched once, however
  long the line and however small the pieces.
- Small pieces that nobody takes are joined by the dozen, so that a peer who sends single
  bytes makes hardly more memory grow than they are.
"""

from __future__ import annotations

from typing import Any

SMALL = 1024
"""Bytes from which a piece is worth its object, of some 40 bytes."""

DOZEN = 64
"""Small pieces that are joined: 64 single bytes, with an object for all, take 1.7 each."""


class Unread:
    """Bytes in the order of their arrival; no loop, no waiting."""

    def __init__(self) -> None:
        self.front = b""
        """The piece in front; b"" if there is none, or all is put together."""
        self.start = 0
        """Where its unread part begins, which is not empty unless it is."""
        self._behind: list[bytes] = []
        """The pieces behind it."""
        self._size_behind = 0
        self._small = 0
        """How many of the last ones are small."""
        self._together = bytearray()
        """All there is, in place of pieces."""

    def __len__(self) -> int:
        return len(self.front) - self.start + self._size_behind + len(self._together)

    def __bool__(self) -> bool:
        return bool(self.front or self._together)

    def add(self, data: bytes) -> int:
        """Add what has arrived, at least a byte; how much there is then."""
        if not (self.front or self._together):
            self.front = data
            return len(data)
        if self._together:
            self._together += data
        else:
            self._behind.append(data)
            self._size_behind += len(data)
            self._mind_small(data)
        return len(self)

    def take(self, most: int) -> bytes:
        """Take bytes off the front: all there are, but at most `most`. Both at least 1."""
        front, start = self.front, self.start
        end = start + most
        if end < len(front):
            self.start = end
            return front[start:end]
        if self._together:
            return self._take_together(most)
        taken = front[start:]  # from 0 that is the object itself
        if not self._behind:
            self.front, self.start = b"", 0
            return taken
        parts, missing = [taken], most - len(taken)
        self._advance()
        while missing and self.front:
            if missing < len(self.front):
                parts.append(self.take(missing))
                break
            parts.append(self.front)
            missing -= len(self.front)
            self._advance()
        return b"".join(parts)

    def find(self, separators: tuple[Any, ...], seen: int) -> tuple[int, int]:
        """Where the first separator begins and ends; (0, 0) if there is none.

        None begins within the first `seen` bytes.
        """
        found = _find(self.front, self.start, separators, seen)
        if not found[1]:
            if self._behind:
                self._put_together()
            found = _find(self._together, 0, separators, seen)
        return found

    def _advance(self) -> None:
        """Put the next piece in front, where all of the first is taken."""
        self.start = 0
        self.front = self._behind.pop(0) if self._behind else b""
        self._size_behind -= len(self.front)
        self._small = min(self._small, len(self._behind))

    def _mind_small(self, data: bytes) -> None:
        self._small = self._small + 1 if len(data) < SMALL else 0
        if self._small == DOZEN:
            self._small = 0
            self._behind[-DOZEN:] = [b"".join(self._behind[-DOZEN:])]

    def _put_together(self) -> None:
        self._together += memoryview(self.front)[self.start :]
        for each in self._behind:
            self._together += each
        self.front, self.start = b"", 0
        self._behind.clear()
        self._size_behind = self._small = 0

    def _take_together(self, most: int) -> bytes:
        taken = bytes(self._together[:most])
        del self._together[:most]  # moves nothing: a bytearray knows where it begins
        return taken


def _find(
    data: bytes | bytearray, start: int, separators: tuple[Any, ...], seen: int
) -> tuple[int, int]:
    begin = end = 0
    for separator in separators:
        at = data.find(separator, start + seen) - start
        if at >= 0 and (not end or at + len(separator) < end):
            begin, end = at, at + len(separator)
    return begin, end
