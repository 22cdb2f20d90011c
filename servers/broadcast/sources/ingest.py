"""What other programs send over TCP, TLS or a Unix socket, to be broadcast."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from netkit.errors import UsageError
from netkit.servers.broadcast.sources.framing import Framing, framer

CHUNK = 64 * 1024

MOST_WAITING = 16
"""Batches of all senders together, of up to a chunk each; beyond it they are not read."""


class Ingest:
    """Takes payloads from any number of connections, in the order in which they come."""

    def __init__(self, framing: Framing, longest: int) -> None:
        self._framing, self._longest = framing, longest
        self._batches: asyncio.Queue[Sequence[bytes]] = asyncio.Queue(MOST_WAITING)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection: what it sends is broadcast, what cannot be is told to it."""
        split = framer(self._framing, self._longest)
        try:
            while data := await reader.read(CHUNK):
                await self._put(split.feed(data))
            await self._put(split.end())
        except UsageError as error:
            writer.write(f"refused: {error}\n".encode())
            await writer.drain()

    async def batches(self) -> AsyncGenerator[Sequence[bytes], None]:
        """What came, for ever."""
        while True:
            yield await self._batches.get()

    async def _put(self, payloads: Sequence[bytes]) -> None:
        if payloads:
            await self._batches.put(payloads)
