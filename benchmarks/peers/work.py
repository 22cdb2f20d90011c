"""A handler that computes for each message, as a server does that has something to say.

What it computes costs about three milliseconds and no memory, many times what a message costs in
the network; so whoever loads this server has an easy time.
"""

from __future__ import annotations

import asyncio
from typing import cast

COUNT = 72_000


class Work(asyncio.Protocol):
    """Compute, then echo."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Add up some numbers in Python, and send back what came."""
        sum(number & 0xFF for number in range(COUNT))
        self.transport.write(data)
