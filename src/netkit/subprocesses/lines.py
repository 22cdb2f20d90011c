"""Chunks become blocks of whole lines."""

from __future__ import annotations

LONGEST = 1 << 20
"""A line of more bytes is handed on in pieces: what a child can make us hold is bounded."""


class Blocks:
    """Cuts after the last newline, and keeps the rest for the next chunk.

    A block is handed on as it is, however many lines it has: who needs each line splits it
    in one call, who only copies it need not.
    """

    def __init__(self, longest: int = LONGEST) -> None:
        self._longest = longest
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> bytes:
        """The block that `chunk` completes; empty if there is none."""
        cut = chunk.rfind(b"\n") + 1
        rest = self._rest
        if cut == len(chunk) and not rest:
            return chunk
        block = b""
        if cut:
            piece = memoryview(chunk)
            block = b"".join((rest, piece[:cut]))  # the one copy
            rest[:] = piece[cut:]
        else:
            rest += chunk
        if len(rest) >= self._longest:
            block += self.end()
        return block

    def end(self) -> bytes:
        """What is left without a newline."""
        block = bytes(self._rest)
        self._rest.clear()
        return block
