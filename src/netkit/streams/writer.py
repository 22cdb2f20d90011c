"""The way out, whose ``drain()`` is one frame and whose ``start_tls()`` loses nothing."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from netkit.streams.protocol import StreamProtocol
from netkit.streams.reader import Reader


class Writer(asyncio.StreamWriter):
    """An `asyncio.StreamWriter` to its callers: the same methods, results and exceptions."""

    # The base's __init__ would make a future. It declares none of its attributes.
    def __init__(
        self,
        transport: asyncio.Transport,
        protocol: StreamProtocol,
        reader: Reader,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._transport: Any = transport
        self._protocol = protocol
        self._reader = reader
        self._loop = loop

    def close(self) -> None:
        """Close the transport, which sends first what it has; see `wait_closed`."""
        # asyncio's TLS transport forgets what it is by a second close(): whatever is asked of
        # it then raises AttributeError (sslproto.py, 3.11 to 3.13).
        if not self._transport.is_closing():
            self._transport.close()

    async def drain(self) -> None:
        """Wait until the write buffer is no longer too full; if it is not, go on at once.

        Raises what ended the connection, ConnectionResetError if it was ended in order.
        """
        if self._reader._exception is not None:
            raise self._reader._exception
        if self._transport.is_closing():
            # So that whoever writes in a loop lets the loop say that the connection is lost.
            await asyncio.sleep(0)
        if self._protocol.is_full or self._protocol.is_lost:
            await self._protocol._drain_helper()

    async def start_tls(
        self,
        sslcontext: ssl.SSLContext,
        *,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> None:
        """Turn to TLS as the server. What was read and not used yet is TLS's first input.

        asyncio does that since 2026 (cpython#142352); before, and on uvloop (uvloop#707), a
        client's hello that came too soon is lost, or words that somebody put there in the clear
        are read as if TLS had brought them. Times in seconds. Raises OSError, ssl.SSLError.
        """
        await self.drain()
        loop = self._loop
        if ahead := self._reader.surrender():
            # Runs when the loop has set TLS's protocol, before it begins or reads.
            loop.call_soon(_feed, self._transport, ahead)
        transport: Any = await loop.start_tls(
            self._transport,
            self._protocol,
            sslcontext,
            server_side=True,
            server_hostname=server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )
        self._transport = transport
        self._protocol.turned(transport)


def _feed(transport: asyncio.Transport, data: bytes) -> None:
    """Give data to a transport's protocol as if it had been read just now."""
    protocol: Any = transport.get_protocol()
    rest = memoryview(data)
    while rest and hasattr(protocol, "buffer_updated"):  # if not, the loop has refused the switch
        room = memoryview(protocol.get_buffer(len(rest)))
        size = min(len(room), len(rest))
        room[:size] = rest[:size]
        protocol.buffer_updated(size)
        rest = rest[size:]
