"""Discard: take everything, answer nothing (RFC 863).

Start it, then send it as much as you like::

    netkit serve discard
    head -c 1000000 /dev/zero | ncat 127.0.0.1 8009

The lesson is `asyncio.BufferedProtocol`: the loop reads straight into memory that the
protocol lends it, instead of making a new bytes object for each read. Since nobody looks
at the bytes, all connections share one buffer, and a million of them cost no more.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar, Final

from netkit import Service
from netkit.service import DatagramFactory, ProtocolFactory

SCRATCH: Final = bytearray(64 * 1024)
"""Where every connection's bytes go, each over the last."""


class DiscardProtocol(asyncio.BufferedProtocol):
    """Reads until the peer's end of input, then closes."""

    def get_buffer(self, sizehint: int) -> bytearray:
        """Lend the loop the shared buffer."""
        return SCRATCH

    def buffer_updated(self, nbytes: int) -> None:
        """Forget the bytes that came."""


@dataclass
class Discard(Service):
    """Take everything and answer nothing, over TCP and UDP (RFC 863)."""

    port: ClassVar[int] = 8009

    def stream(self) -> ProtocolFactory:
        """One protocol for each connection."""
        return DiscardProtocol

    def datagram(self) -> DatagramFactory:
        """The base class itself: all that it does is nothing."""
        return asyncio.DatagramProtocol
