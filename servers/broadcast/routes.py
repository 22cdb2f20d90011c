"""The ways out: a socket for each destination, and the one that subscribers have come by.

Each is an ordinary `asyncio.DatagramProtocol`. Its transport tells when it takes no
more (`pause_writing`), and then the sender waits: a datagram that the kernel has no room
for is not lost here. What comes in by the same socket is a listener's ask or subscribe.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import cast

from netkit.feeds.cookies import Peer
from netkit.feeds.offload import Bursts
from netkit.feeds.sockets import Outgoing
from netkit.servers.broadcast.subscribers import Subscribers

log = logging.getLogger("netkit.server")

Received = Callable[["Route | Audience", bytes, Peer], None]
"""Called with what came, by which way, and from where."""


class Way(asyncio.DatagramProtocol):
    """What both kinds of ways have in common: waiting for room, and counting what is refused."""

    transport: asyncio.DatagramTransport

    def __init__(self, received: Received) -> None:
        self._received = received
        self.free = True
        """Whether it takes more now."""
        self._room = asyncio.Event()
        self.errors: Counter[str] = Counter()
        """What the network refused, by its words."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to send by."""
        self.transport = cast("asyncio.DatagramTransport", transport)

    def pause_writing(self) -> None:
        """Hear that the transport holds what the kernel has no room for."""
        self.free = False
        self._room.clear()

    def resume_writing(self) -> None:
        """Hear that it has let go of that."""
        self.free = True
        self._room.set()

    def error_received(self, exc: Exception) -> None:
        """Count what was refused, and log the first of each kind."""
        words = (exc.strerror if isinstance(exc, OSError) else None) or str(exc)
        if words not in self.errors:
            log.warning("cannot send: %s", words)
        self.errors[words] += 1

    async def room(self) -> None:
        """Wait until it takes more."""
        if not self.free:
            await self._room.wait()

    def close(self) -> None:
        """Close the socket."""
        self.transport.close()


class Route(Way):
    """The way to one destination: a group, a network or a host."""

    def __init__(self, outgoing: Outgoing, received: Received) -> None:
        super().__init__(received)
        self._outgoing = outgoing
        self.largest = outgoing.largest
        """Bytes of a datagram that is not fragmented on this way."""

    async def open(self) -> None:
        """Give the socket to a transport, which closes it."""
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, sock=self._outgoing.sock)
        self._bursts = Bursts(self.transport, self._outgoing.where)

    def send(self, datagram: bytes) -> None:
        """Send one."""
        self._bursts.send(datagram, len(datagram))

    def send_run(self, run: bytes | bytearray, size: int) -> None:
        """Send datagrams of `size` bytes that stand one behind the other."""
        self._bursts.send(run, size)

    def error_received(self, exc: Exception) -> None:
        """See `Way`; a run that was refused goes out one by one."""
        if not (isinstance(exc, OSError) and self._bursts.refused(exc)):
            super().error_received(exc)

    def datagram_received(self, data: bytes, addr: Peer) -> None:
        """Hand on what a listener asks."""
        self._received(self, data, addr)


class Audience(Way):
    """The way to all who have subscribed at one of our ports."""

    def __init__(self, subscribers: Subscribers, received: Received) -> None:
        super().__init__(received)
        self.subscribers = subscribers

    def send(self, datagram: bytes) -> None:
        """Send one to each."""
        for peer in self.subscribers:
            self.transport.sendto(datagram, peer)

    def send_run(self, run: bytes | bytearray, size: int) -> None:
        """Send datagrams of `size` bytes that stand one behind the other."""
        if len(self.subscribers):
            for at in range(0, len(run), size):
                self.send(bytes(run[at : at + size]))

    def datagram_received(self, data: bytes, addr: Peer) -> None:
        """Hand on what a listener asks."""
        self._received(self, data, addr)
