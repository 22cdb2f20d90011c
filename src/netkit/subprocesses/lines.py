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
        if cut == len(chunk) and not self._rest:
            return chunk
        self._rest += chunk
        if cut:
            cut += len(self._rest) - len(chunk)
        if len(self._rest) - cut >= self._longest:
            cut = len(self._rest)
        block = bytes(self._rest[:cut])
        del self._rest[:cut]
        return block

    def end(self) -> bytes:
        """What is left without a newline."""
        block = bytes(self._rest)
        self._rest.clear()
        return block
