"""What has arrived and nobody has read yet: pieces as the loop made them.

`asyncio.StreamReader` copies what the loop has read into a bytearray, and twice more on
the way out of it. Here:

- A piece that is taken whole is handed out itself, without a copy.
- What is taken of several pieces is copied once, when they are joined. Who takes what there
  is gets a large piece alone, so that under TLS it is no more than a record.
- What does not hold a separator yet is put together in a bytearray, to which all that
  arrives is added until that is empty. So each byte is searched once, and copied in and
  out, however long the line and however small the pieces.
- Small pieces behind one that nobody takes share a bytearray, so that a peer who sends
  single bytes takes no more memory than they are.
"""

from __future__ import annotations

from typing import Any

SMALL = 1024
"""Bytes from which a piece is worth its object, of some 40 bytes."""


LARGE = 16_384
"""Bytes from which a piece is taken alone: another turn of a handler costs less than to join it."""


class Unread:
    """Bytes in the order of their arrival; no loop, no waiting."""

    def __init__(self) -> None:
        self.front = b""
        """The piece in front; b"" if there is none, or all is put together."""
        self.start = 0
        """Where its unread part begins, which is not empty unless it is."""
        self._behind: list[bytes | bytearray] = []
        """The pieces behind it; a bytearray is several small ones."""
        self._size_behind = 0
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
            return len(self._together)
        self._add_behind(data)
        return len(self.front) - self.start + self._size_behind

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
        if end == len(front):
            self._advance(0)
            return taken
        parts: list[bytes | bytearray] = [taken]
        missing, whole = most - len(taken), 0
        for piece in self._behind:
            if len(piece) > missing:
                break
            parts.append(piece)
            missing -= len(piece)
            whole += 1
        self._advance(whole)
        if missing and self.front:
            parts.append(self.front[:missing])
            self.start = missing
        return b"".join(parts)

    def take_some(self, most: int) -> bytes:
        """Take bytes off the front: a large piece, or all there are; at most `most`."""
        front = len(self.front) - self.start
        return self.take(front if LARGE <= front < most else most)

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

    def _add_behind(self, data: bytes) -> None:
        self._size_behind += len(data)
        if len(data) >= SMALL:
            self._behind.append(data)
        elif self._behind and type(self._behind[-1]) is bytearray:
            self._behind[-1] += data
        else:
            self._behind.append(bytearray(data))

    def _advance(self, whole: int) -> None:
        """Put the next piece in front, where that and `whole` behind it are taken."""
        behind, self.start = self._behind, 0
        if whole:
            self._size_behind -= sum(map(len, behind[:whole]))
            del behind[:whole]
        # bytes() of bytes is the object itself.
        self.front = bytes(behind.pop(0)) if behind else b""
        self._size_behind -= len(self.front)

    def _put_together(self) -> None:
        self._together += memoryview(self.front)[self.start :]
        for each in self._behind:
            self._together += each
        self.front, self.start = b"", 0
        self._behind.clear()
        self._size_behind = 0

    def _take_together(self, most: int) -> bytes:
        taken = bytes(memoryview(self._together)[:most])
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
