"""Bytes from the loop to what is slow: a pipe, a terminal, a disk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

MOST_WAITING = 16 * 1024 * 1024
"""Bytes: a second and a half of 100 Mbit/s, for a reader that pauses."""


class Outlet:
    """Takes what is to be written, and never waits: what does not fit is dropped and counted.

    `run` does the writing, and belongs to whoever made the outlet; it gathers what waits into
    one write. `write` may take as long as it likes, and what it raises, `run` raises.
    """

    def __init__(self, write: Callable[[bytes], Awaitable[None]], most: int = MOST_WAITING) -> None:
        self.dropped = 0
        """Messages for which there was no room, or that were given up at the end."""
        self._write = write
        self._most = most
        self._pieces: list[bytes] = []
        self._messages = self._bytes = 0
        self._under_way = 0
        self._wanted = asyncio.Event()
        self._closing = False

    def put(self, data: bytes, messages: int = 1) -> None:
        """Have this written, all or nothing; it counts for so many messages."""
        if self._bytes + len(data) > self._most or self._closing:
            self.dropped += messages
            return
        self._pieces.append(data)
        self._messages += messages
        self._bytes += len(data)
        self._wanted.set()

    async def run(self) -> None:
        """Write until `close`, and then what is left."""
        try:
            while await self._some():
                pieces, self._pieces = self._pieces, []
                self._under_way, self._messages = self._messages, 0
                data = b"".join(pieces)
                await self._write(data)
                # Only now is there room again: what is being written counts too.
                self._bytes -= len(data)
                self._under_way = 0
        finally:
            self.dropped += self._messages + self._under_way
            self._messages = self._under_way = 0
            self._closing = True

    def close(self) -> None:
        """Let `run` return when all is written. Cancelling it gives up what is not."""
        self._closing = True
        self._wanted.set()

    async def _some(self) -> bool:
        while not self._pieces and not self._closing:
            self._wanted.clear()
            await self._wanted.wait()
        return bool(self._pieces)
