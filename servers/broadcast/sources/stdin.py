"""Standard input: a file, a pipe, a terminal."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import closing

from netkit.servers.broadcast.sources.framing import Framing, framer
from netkit.stdio import Streams

CHUNK = 64 * 1024
"""Bytes read at once; the lines in them go out together."""


async def standard_input(framing: Framing, longest: int) -> AsyncGenerator[Sequence[bytes], None]:
    """What comes in, to its end. Raises `UsageError` for what cannot be sent."""
    split = framer(framing, longest)
    with closing(Streams(0, None, None)) as streams:
        while data := await streams.read(CHUNK):
            if payloads := split.feed(data):
                yield payloads
    if payloads := split.end():
        yield payloads
