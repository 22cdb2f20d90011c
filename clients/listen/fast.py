"""Reading without a transport, where that pays: runs of datagrams in one system call.

It stands apart from `receiver`, for three reasons. A transport makes a system call, a `bytes`
and a call of `datagram_received` for each datagram; asyncio's reads just one before it goes round
the loop again; and neither can ask the kernel for runs (UDP_GRO), which it tells apart by
ancillary data. So the loop only tells when there is something to read, and
`netkit.feeds.reader.Reader` reads it. What becomes of it, is the same `ear` as there.

``benchmarks/`` has the figures of both. Elsewhere than on Linux, and with ``--no-offload``,
everything comes through `receiver`.
"""

from __future__ import annotations

import socket

from netkit.clients.listen.events import Address
from netkit.clients.listen.hearing import Ear
from netkit.feeds.reader import Reader
from netkit.feeds.resolving import Where


class FastReceiver:
    """Does what `Receiver` does; makes it in a running loop, and the socket is its own then."""

    def __init__(self, ear: Ear, sock: socket.socket) -> None:
        self.errors = 0
        """Datagrams of ours that did not arrive, as far as the kernel was told."""
        self._ear = ear
        self._reader = Reader(sock, self._on_run, self._on_error)

    def send(self, datagram: bytes, address: Address) -> None:
        """Send one, to where another came from."""
        if self._reader.sock.fileno() < 0:
            return
        try:
            self._reader.sock.sendto(datagram, address)
        except OSError as error:  # a full buffer too: what is missing is asked for again
            self._on_error(error)

    async def close(self) -> None:
        """Hear nothing more, and close the socket."""
        self._reader.close()

    def _on_run(self, view: memoryview, size: int, source: Where) -> None:
        self._ear.hear_run(view, size, source, self.send)

    def _on_error(self, _: OSError) -> None:
        self.errors += 1
