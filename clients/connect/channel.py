"""The socket's side of a session: bytes or datagrams, read and written with backpressure.

Two protocols with one surface. Streams of asyncio would do for TCP, but a
`StreamReader` throws away what it holds when a connection is reset, and here
everything that arrived before is still delivered.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections import deque
from typing import ClassVar, cast

# Two of the loops' reads of 256 KiB: one being written out while the next arrives.
MOST_HELD = 512 * 1024
# UDP cannot be slowed down: beyond these, datagrams are dropped and counted.
MOST_DATAGRAMS = 1000
# How long our last bytes may take to leave after the peer has ended, in seconds.
FLUSH_TIMEOUT = 5.0


class Channel:
    """A connected socket. Whoever dialled it closes it, with `close` or `abort`."""

    half_close: ClassVar[bool] = False
    """Whether the peer hears of the end of our sending while we still read."""
    read_size: ClassVar[int] = 128 * 1024
    """Most bytes that one `write` should bring.

    With more, Python's memory for it comes from the kernel and goes back each time (mallopt(3)).
    """

    def __init__(self) -> None:
        self.dropped = 0
        """Datagrams that came faster than they were read."""
        self._inbox: deque[bytes] = deque()
        self._ended = False
        self._failure: Exception | None = None
        self._arrival = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._lost = asyncio.Event()

    @property
    def transport(self) -> asyncio.BaseTransport:
        """The loop's transport; set once connected."""
        raise NotImplementedError

    async def read(self) -> bytes | None:
        """Wait for what arrives; None once the peer has ended.

        Raises the `OSError` that ended the connection, after all that came before it.
        """
        while not self._inbox and not self._ended:
            self._arrival.clear()
            await self._arrival.wait()
        if self._inbox:
            return self._take()
        if self._failure:
            raise self._failure
        return None

    async def write(self, data: bytes) -> None:
        """Send, and wait while the peer takes it slower than it is given.

        Raises `BrokenPipeError` once the connection is lost; `read` tells why.
        """
        if self._lost.is_set():
            raise BrokenPipeError
        self._send(data)
        await self._writable.wait()

    def end_sending(self) -> None:
        """Tell the peer that nothing more comes, where the transport can say so."""

    async def close(self) -> None:
        """Send what is left, then close; give up when the peer takes nothing of it."""
        self.transport.close()
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT):
                await self._lost.wait()
        except TimeoutError:
            await self.abort()

    async def abort(self) -> None:
        """Close at once; what is not sent yet is dropped."""
        if not self._lost.is_set():
            cast("asyncio.WriteTransport", self.transport).abort()
            await self._lost.wait()

    def _send(self, data: bytes) -> None:
        raise NotImplementedError

    def _take(self) -> bytes:
        return self._inbox.popleft()

    def pause_writing(self) -> None:
        """Hear from the loop that the peer takes less than it is given."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Hear from the loop that there is room again."""
        self._writable.set()

    def connection_lost(self, error: Exception | None) -> None:
        """Hear from the loop that the socket is closed."""
        self._lost.set()
        self._writable.set()
        self._end(error)

    def _end(self, error: Exception | None) -> None:
        self._failure = self._failure or error
        self._ended = True
        self._arrival.set()


class StreamChannel(Channel, asyncio.Protocol):
    """TCP, Unix and plain streams: half-close is told to the peer by a FIN."""

    half_close = True
    _transport: asyncio.Transport

    def __init__(self) -> None:
        super().__init__()
        self._held = 0
        self._paused = False

    @property
    def transport(self) -> asyncio.Transport:
        """The stream's transport."""
        return self._transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Keep what arrived; stop reading when there is enough."""
        self._inbox.append(data)
        self._held += len(data)
        if self._held >= MOST_HELD and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._arrival.set()

    def eof_received(self) -> bool:
        """Hear that the peer has ended."""
        self._end(None)
        return True  # the transport stays open: we may still have something to send

    def end_sending(self) -> None:
        """Half-close; of a peer that has reset we are told by reading, after what came before."""
        if self._transport.is_closing():
            return
        try:
            # uvloop calls shutdown(2) a little later, and drops what is unread if that fails.
            self._transport.get_extra_info("socket").getpeername()
            self._transport.write_eof()  # asyncio calls it at once
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise

    def connection_lost(self, error: Exception | None) -> None:
        """See `Channel`."""
        if isinstance(error, OSError) and error.errno == errno.ENOTCONN:  # that shutdown
            error = ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        super().connection_lost(error)

    def _send(self, data: bytes) -> None:
        self._transport.write(data)

    def _take(self) -> bytes:
        # All that came while the last was written out: one write instead of many.
        data = self._inbox[0] if len(self._inbox) == 1 else b"".join(self._inbox)
        self._inbox.clear()
        self._held = 0
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()
        return data


class TLSChannel(StreamChannel):
    """TLS: asyncio's and uvloop's transports cannot half-close (`can_write_eof` is False)."""

    half_close = False

    def eof_received(self) -> bool:
        """Hear that the peer has ended."""
        self._end(None)
        return False

    def end_sending(self) -> None:
        """Do nothing: only closing would say it, and that would end our reading too."""


class DatagramChannel(Channel, asyncio.DatagramProtocol):
    """UDP, connected to one peer: a read is one datagram, a write sends one."""

    read_size = 8 * 1024
    _transport: asyncio.DatagramTransport

    @property
    def transport(self) -> asyncio.DatagramTransport:
        """The datagrams' transport."""
        return self._transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Keep a datagram, or count it as dropped."""
        if len(self._inbox) >= MOST_DATAGRAMS:
            self.dropped += 1
            return
        self._inbox.append(data)
        self._arrival.set()

    def error_received(self, error: Exception) -> None:
        """End: the kernel reports what became of a datagram that we sent."""
        self._end(error)

    def _send(self, data: bytes) -> None:
        self._transport.sendto(data)
