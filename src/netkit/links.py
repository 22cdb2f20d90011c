"""What stands between a transport and an author's protocol or handler.

A link is the loop's protocol for a connection, and hears of its beginning and
end. In between, the loop calls the author's own methods: a link's
``data_received`` is a slot that holds the bound method of the protocol behind
it, so that it costs no Python call per message; ``eof_received`` likewise. (uvloop
looks ``data_received`` up once, in ``transport.set_protocol``: whoever changes the
slot calls that again.)

What an author's code raises ends its connection and is logged; it never reaches
the loop, where asyncio would leave the socket open after an exception in
``connection_made``.
"""

# mypy: disable-error-code="method-assign, assignment"
# Methods that are slots are the very point of this module.

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from contextlib import suppress
from typing import Any

from netkit.connections import Connection
from netkit.service import ProtocolFactory, StreamHandler
from netkit.streams import StreamProtocol, Writer

log = logging.getLogger("netkit.server")


def nothing(*_: Any) -> None:
    """Take the place of a method that is not to be called yet, or any more."""


NOBODY = asyncio.Protocol()
"""The protocol behind a link until its own is made."""


class ProtocolLink(Connection, asyncio.Protocol):
    """Ties a connection to an author's `asyncio.Protocol` or `asyncio.BufferedProtocol`."""

    factory: ProtocolFactory
    protocol: Any = NOBODY

    def connection_made(self, transport: Any) -> None:
        """See `asyncio.BaseProtocol`."""
        # Any, as uvloop's transports have the methods of asyncio.Transport but not the base.
        self.transport = transport
        self.sock = transport.get_extra_info("socket")
        self.connections.arrive(self)

    def begin(self) -> None:
        """See `Connection`."""
        try:
            protocol: Any = self.factory()
            self.protocol = protocol
            if isinstance(protocol, asyncio.BufferedProtocol):
                self.transport.set_protocol(BufferedLink(self, protocol))
            else:
                self.data_received = protocol.data_received
                self.eof_received = protocol.eof_received
                self.transport.set_protocol(self)
            protocol.connection_made(self.transport)
        except Exception as error:  # an author's code may raise anything
            author_failed(self, error)

    def eof_received(self) -> bool | None:
        """See `asyncio.Protocol`."""
        stay_open: bool | None = self.protocol.eof_received()
        return stay_open

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self.protocol.pause_writing()

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self.protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on, then give the connection's place to the next one."""
        self.lost()
        try:
            self.protocol.connection_lost(exc)
        except Exception as error:  # an author's code may raise anything
            author_failed(self, error)
        self.connections.end(self, exc)

    def end_input(self) -> None:
        """See `Connection`."""
        speaking: Any = self.transport.get_protocol()
        if isinstance(speaking, ProtocolLink | BufferedLink):
            speaking.deafen()
            self.transport.set_protocol(speaking)
        read_no_more(self)
        try:
            stay_open = speaking.eof_received()
        except Exception as error:  # an author's code may raise anything
            author_failed(self, error)
            return
        if not stay_open:
            self.transport.close()

    def deafen(self) -> None:
        """Discard what still arrives."""
        self.data_received = nothing

    def cut(self) -> None:
        """See `Connection`."""
        self.transport.abort()


class BufferedLink(asyncio.BufferedProtocol):
    """The loop's protocol for a connection whose author's protocol is buffered."""

    __slots__ = (
        "buffer_updated",
        "connection_lost",
        "eof_received",
        "get_buffer",
        "link",
        "pause_writing",
        "resume_writing",
    )

    def __init__(self, link: ProtocolLink, protocol: asyncio.BufferedProtocol) -> None:
        self.link = link
        self.connection_lost = link.connection_lost
        self.get_buffer = protocol.get_buffer
        self.buffer_updated = protocol.buffer_updated
        self.eof_received = protocol.eof_received
        self.pause_writing = protocol.pause_writing
        self.resume_writing = protocol.resume_writing

    def deafen(self) -> None:
        """Discard what still arrives."""
        self.buffer_updated = nothing


class StreamLink(Connection, StreamProtocol):
    """Ties a connection to an author's ``async def handle(reader, writer)``.

    As `asyncio.start_server` does it, but the handler's task is ours: it is
    registered, awaited at drain, and what it raises is explained.
    """

    handler: StreamHandler
    _duplicate: socket.socket | None = None
    """Of its socket, once the handler has started TLS by the loop's own means."""

    def __init__(self) -> None:
        StreamProtocol.__init__(self, self.connections.limits.line)
        self.task: asyncio.Task[None] | None = None
        self.writer: Writer | None = None

    def connection_made(self, transport: Any) -> None:
        """See `asyncio.BaseProtocol`."""
        self.transport = transport
        self.sock = transport.get_extra_info("socket")
        self.connections.arrive(self)

    def begin(self) -> None:
        """See `Connection`."""
        self.reader.set_transport(self.transport)
        # Kept: from Python 3.13 on a writer that is freed before its transport closes warns.
        self.writer = Writer(self.transport, self, self.reader, self.loop)
        try:
            handling: Any = self.handler(self.reader, self.writer)
            self.task = self.loop.create_task(handling)
        except Exception as error:  # an author's code may raise anything
            author_failed(self, error)
            return
        self.task.add_done_callback(self.handled)

    def handled(self, task: asyncio.Task[None]) -> None:
        """Hear that the handler has returned or failed."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._explain(error)
        if self.writer is not None:
            self.writer.close()
            self.writer = None
        if self.is_lost:
            self.connections.end(self, self.error)

    def _explain(self, error: BaseException) -> None:
        left = (ConnectionError, asyncio.IncompleteReadError, TimeoutError)
        if error is self.error or isinstance(error, left):
            # The peer left in the middle, or TLS failed under the handler: no fault of its.
            self.why = self.why or str(error) or type(error).__name__
        elif isinstance(error.__context__ or error, asyncio.LimitOverrunError):
            # StreamReader.readline makes a ValueError of it.
            self.why = f"line longer than {self.reader._limit} bytes (--limit-line)"
        else:
            author_failed(self, error)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self.lost()
        StreamProtocol.connection_lost(self, exc)
        if self.task is None or self.task.done():
            self.connections.end(self, exc)

    def turned(self, transport: asyncio.Transport) -> None:
        """See `StreamProtocol`."""
        super().turned(transport)
        secured = transport.get_extra_info("ssl_object")
        if secured is None or self.is_lost:
            return
        self.tls = f"{secured.version()} {secured.cipher()[0]}"
        with suppress(OSError):  # no descriptor is left
            # It hides its socket at the end, when the kernel is asked for the last time.
            self.sock = self._duplicate = self.sock.dup()

    def vanished(self) -> bool:
        """See `Connection`."""
        if self._duplicate is None:
            return super().vanished()
        # The loops' TLS transports forget what is under them when that is lost.
        return self.transport.get_extra_info("socket") is None

    def lost(self) -> None:
        """See `Connection`."""
        super().lost()
        if self._duplicate is not None:
            self._duplicate.close()

    def end_input(self) -> None:
        """See `Connection`."""
        self.data_received = nothing  # of this instance alone
        self.transport.set_protocol(self)
        read_no_more(self)
        self.reader.feed_eof()

    def cut(self) -> None:
        """See `Connection`."""
        if self.task is not None:
            self.task.cancel()
        self.transport.abort()


def read_no_more(connection: Connection) -> None:
    """Leave what still arrives unread; under the loops' own TLS read and discard it.

    There unread data makes `SSLProtocol` drop the connection without its close_notify:
    OpenSSL's unwrap() fails on it (APPLICATION_DATA_AFTER_CLOSE_NOTIFY).
    """
    if not connection.transport.can_write_eof():
        connection.transport.resume_reading()
    else:
        connection.transport.pause_reading()


def author_failed(connection: Connection, error: BaseException) -> None:
    """Log what an author's code raised, and drop the connection that it was serving."""
    if getattr(error, "errno", None) == errno.ENOTCONN:
        # asyncio's write_eof() calls shutdown(2) at once, and the peer has reset already.
        connection.why = "reset by peer"
        connection.transport.abort()
        return
    connection.why = f"error in the server: {type(error).__name__}"
    log.error("connection %d from %s", connection.id, connection.peer, exc_info=error)
    connection.transport.abort()
