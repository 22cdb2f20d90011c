"""What the loop accepted beyond the limit waits here until there is room.

Its bytes wait too, in the kernel but for the first read: uvloop starts reading
after ``connection_made`` even if that paused the transport.
"""

from __future__ import annotations

import asyncio
from typing import Any


class WaitingRoom(asyncio.Protocol):
    """The protocol of one connection that waits; `leave` ends that."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self._chunks: list[bytes] = []
        self._eof = False
        self._lost: list[Exception | None] = []
        transport.set_protocol(self)
        transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        """Keep what was read, and read no more."""
        self._chunks.append(data)
        self.transport.pause_reading()

    def eof_received(self) -> bool:
        """Remember it."""
        self._eof = True
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Remember it."""
        self._lost.append(exc)

    def leave(self, protocol: Any) -> None:
        """Give the protocol that took over what has arrived meanwhile, in order."""
        for chunk in self._chunks:
            _feed(self.transport.get_protocol(), chunk)
        if self._eof and not protocol.eof_received():
            self.transport.close()
        for error in self._lost:
            protocol.connection_lost(error)
        self.transport.resume_reading()


def _feed(protocol: Any, chunk: bytes) -> None:
    if not isinstance(protocol, asyncio.BufferedProtocol):
        protocol.data_received(chunk)
        return
    while chunk:  # as the loop does it for a BufferedProtocol
        buffer = memoryview(protocol.get_buffer(len(chunk)))
        taken = min(len(buffer), len(chunk))
        buffer[:taken] = chunk[:taken]
        protocol.buffer_updated(taken)
        chunk = chunk[taken:]
