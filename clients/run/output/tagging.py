"""Something before each line, with one `replace` for all lines of a block."""

from __future__ import annotations

import os

COLOURS = 6
"""Red to cyan: what can be read on dark and on light."""


class Tagger:
    """Puts `tag` before each line of a stream, wherever its blocks are cut."""

    def __init__(self, tag: bytes) -> None:
        self._tag, self._behind = tag, b"\n" + tag
        self._fresh = True

    def __call__(self, data: bytes) -> list[bytes | memoryview]:
        """What to write for the next block, which is not empty."""
        if not self._tag:
            return [data]
        pieces: list[bytes | memoryview] = [self._tag] if self._fresh else []
        self._fresh = data.endswith(b"\n")
        lines = data.replace(b"\n", self._behind)
        # One tag too many at the end is left out without a copy.
        pieces.append(memoryview(lines)[: -len(self._tag)] if self._fresh else lines)
        return pieces


def tag(text: str, job: int, *, colour: bool) -> bytes:
    """What `Tagger` gets for this job."""
    words = os.fsencode(text).replace(b"\n", b" ")
    if not colour:
        return words + b"\t"
    return b"\x1b[3%dm%s\x1b[0m\t" % (1 + job % COLOURS, words)
