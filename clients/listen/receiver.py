"""A DatagramProtocol as it should be used; the same on asyncio and uvloop.

What it shows:

- `connection_made` keeps the transport, since answers go out through the socket that the question
  came in by: behind it is the address that the other side, and every firewall between,
  has seen.
- `datagram_received` is called in the loop for each datagram, so it decides and hands on, and
  never waits. What comes while it works waits in the socket's buffer; when that is full the
  kernel drops, and counts it (`netkit.feeds.sockets.dropped`).
- There is no flow control for receiving, as there is no connection: `pause_reading` would only
  move the loss into the kernel.
- `error_received` is not the end: on a socket without a peer it tells of one datagram.
- `connection_lost` comes once, after `close`; who closes waits for it.
"""

from __future__ import annotations

import asyncio
from typing import cast

from netkit.clients.listen.events import Address
from netkit.clients.listen.hearing import Ear


class Receiver(asyncio.DatagramProtocol):
    """Hands each datagram to `ear`, and sends what that answers."""

    def __init__(self, ear: Ear) -> None:
        self.errors = 0
        """Datagrams of ours that did not arrive, as far as the kernel was told."""
        self._ear = ear
        self._transport: asyncio.DatagramTransport
        self._lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Hand it on."""
        self._ear.hear(data, addr, self.send)

    def error_received(self, exc: Exception) -> None:
        """Count it."""
        self.errors += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """Hear that the socket is closed."""
        self._lost.set()

    def send(self, datagram: bytes, address: Address) -> None:
        """Send one, to where another came from."""
        if not self._transport.is_closing():
            self._transport.sendto(datagram, address)

    async def close(self) -> None:
        """Hear nothing more, and close the socket."""
        self._transport.close()
        await self._lost.wait()
