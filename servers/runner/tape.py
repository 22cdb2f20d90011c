"""A job's output, between the job and those who watch it: bounded, and read by each at its pace.

No socket, no clock. Pieces are numbered from 0; what was written in small bits is kept in
larger pieces, so that the bound is one of memory too.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal, NamedTuple

Stream = Literal["stdout", "stderr"]

PIECE = 64 * 1024
"""Bytes of a piece at most: as much as a frame takes."""

COST = 128
"""Bytes that a piece takes beside its data."""


class Piece(NamedTuple):
    """A part of one stream; `at` is its first byte's place in all output."""

    at: int
    stream: Stream
    data: bytearray


@dataclass(slots=True)
class Cursor:
    """Where a watcher is."""

    piece: int = 0
    """Number of the piece that it reads."""
    within: int = 0
    """Bytes of that which it has."""
    at: int = 0
    """Bytes of all output that are behind it, lost ones too."""


class Tape:
    """Output as it came, both streams in one order."""

    def __init__(self) -> None:
        self._pieces: deque[Piece] = deque()
        self._first = 0
        self._end = 0
        self.held = 0
        """Bytes of memory that it takes."""

    def append(self, stream: Stream, data: bytes) -> None:
        """Add what was written."""
        last = self._pieces[-1] if self._pieces else None
        if last and last.stream == stream and len(last.data) + len(data) <= PIECE:
            last.data.extend(data)
        else:
            for at in range(0, len(data), PIECE):
                self._pieces.append(Piece(self._end + at, stream, bytearray(data[at : at + PIECE])))
                self.held += COST
        self._end += len(data)
        self.held += len(data)

    def lost(self, cursor: Cursor) -> int:
        """Bytes that were dropped before this watcher had them; it goes on behind them."""
        if cursor.piece >= self._first:
            return 0
        there = self._pieces[0].at if self._pieces else self._end
        missed, cursor.at = there - cursor.at, there
        cursor.piece, cursor.within = self._first, 0
        return missed

    def read(self, cursor: Cursor, most: int) -> tuple[Stream, bytes] | None:
        """The next bytes of one stream, at most `most`; None if there are none now."""
        while (number := cursor.piece - self._first) < len(self._pieces):
            piece = self._pieces[number]
            if cursor.within < len(piece.data):
                if most <= 0:
                    return None
                data = bytes(piece.data[cursor.within : cursor.within + most])
                cursor.within += len(data)
                cursor.at += len(data)
                return piece.stream, data
            if number == len(self._pieces) - 1:
                return None  # it may grow
            cursor.piece, cursor.within = cursor.piece + 1, 0
        return None

    def is_read(self, cursor: Cursor) -> bool:
        """Whether a watcher has all that there is."""
        return cursor.at == self._end

    def forget(self, cursor: Cursor) -> None:
        """Drop what is before a watcher's place, the last that needs it."""
        while self._pieces and self._first < cursor.piece:
            self._drop()

    def shorten(self, most: int) -> None:
        """Drop the oldest until at most `most` bytes of memory are taken."""
        while self.held > most and len(self._pieces) > 1:
            self._drop()

    def _drop(self) -> None:
        self.held -= len(self._pieces.popleft().data) + COST
        self._first += 1
