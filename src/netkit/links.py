"""What stands between a transport and an author's protocol or handler.

A link hears of a connection's beginning and end. In between, the loop calls the
author's own methods: a link's ``data_received`` is a slot that holds the bound
method of the protocol behind it, so that it costs no Python call per message.
(uvloop looks ``data_received`` up once, in ``transport.set_protocol``: whoever
changes the slot calls that again.)

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
from typing import Any, cast

from netkit.connections import Connection, Connections
from netkit.service import ProtocolFactory, StreamHandler

log = logging.getLogger("netkit.server")


def nothing(*_: Any) -> None:
    """Take the place of a method that is not to be called yet, or any more."""


class Tied(asyncio.BaseProtocol):
    """What both kinds of protocol link do at a connection's end."""

    __slots__ = ()

    connections: Connections
    connection: Connection
    protocol: Any

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on, then give the connection's place to the next one."""
        connection = self.connection
        connection.lost()
        try:
            self.protocol.connection_lost(exc)
        except Exception as error:
            author_failed(connection, error)
        self.connections.end(connection, exc)

    def end_input(self) -> None:
        """See `connections.Link`."""
        transport = self.connection.transport
        self.deafen()
        transport.set_protocol(self)
        read_no_more(self.connection)
        try:
            stay_open = self.protocol.eof_received()
        except Exception as error:
            author_failed(self.connection, error)
            return
        if not stay_open:
            transport.close()

    def deafen(self) -> None:
        """Discard what still arrives."""
        raise NotImplementedError

    def cut(self) -> None:
        """See `connections.Link`."""
        self.connection.transport.abort()


class ProtocolLink(Tied, asyncio.Protocol):
    """Ties a connection to an author's `asyncio.Protocol`."""

    __slots__ = (
        "connection",
        "connections",
        "data_received",
        "eof_received",
        "factory",
        "listener",
        "pause_writing",
        "protocol",
        "resume_writing",
    )

    def __init__(self, connections: Connections, listener: str, factory: ProtocolFactory) -> None:
        self.connections = connections
        self.listener = listener
        self.factory = factory
        self.protocol = NOBODY
        self.data_received = self.eof_received = nothing
        self.pause_writing = self.resume_writing = nothing

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        self.connections.arrive(self, transport, self.listener)

    def begin(self, connection: Connection) -> None:
        """See `connections.Link`."""
        self.connection = connection
        try:
            protocol: Any = self.factory()
            if isinstance(protocol, asyncio.BufferedProtocol):
                connection.link = BufferedLink(self.connections, connection, protocol)
            else:
                self.tie(protocol)
            connection.transport.set_protocol(cast(asyncio.BaseProtocol, connection.link))
            protocol.connection_made(connection.transport)
        except Exception as error:
            author_failed(connection, error)

    def tie(self, protocol: Any) -> None:
        """Let the loop call the author's methods directly."""
        self.protocol = protocol
        self.data_received = protocol.data_received
        self.eof_received = protocol.eof_received
        self.pause_writing = protocol.pause_writing
        self.resume_writing = protocol.resume_writing

    def deafen(self) -> None:
        """See `Tied`."""
        self.data_received = nothing


class BufferedLink(Tied, asyncio.BufferedProtocol):
    """Ties a connection to an author's `asyncio.BufferedProtocol`."""

    __slots__ = (
        "buffer_updated",
        "connection",
        "connections",
        "eof_received",
        "get_buffer",
        "pause_writing",
        "protocol",
        "resume_writing",
    )

    def __init__(
        self, connections: Connections, connection: Connection, protocol: asyncio.BufferedProtocol
    ) -> None:
        self.connections = connections
        self.connection = connection
        self.protocol = protocol
        self.get_buffer = protocol.get_buffer
        self.buffer_updated = protocol.buffer_updated
        self.eof_received = protocol.eof_received
        self.pause_writing = protocol.pause_writing
        self.resume_writing = protocol.resume_writing

    def begin(self, connection: Connection) -> None:
        """See `connections.Link`; a `ProtocolLink` began it."""

    def deafen(self) -> None:
        """See `Tied`."""
        self.buffer_updated = nothing


class StreamLink(asyncio.StreamReaderProtocol):
    """Ties a connection to an author's ``async def handle(reader, writer)``.

    As `asyncio.start_server` does it, but the handler's task is ours: it is
    registered, awaited at drain, and what it raises is explained.
    """

    def __init__(
        self, connections: Connections, listener: str, handler: StreamHandler, limit: int
    ) -> None:
        self.reader = asyncio.StreamReader(limit, asyncio.get_running_loop())
        super().__init__(self.reader, self._start)
        self.connections = connections
        self.listener = listener
        self.handler = handler
        self.task: asyncio.Task[None] | None = None
        self.writer: asyncio.StreamWriter | None = None
        self.lost = False
        self.error: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        self.connections.arrive(self, transport, self.listener)

    def begin(self, connection: Connection) -> None:
        """See `connections.Link`."""
        self.connection = connection
        super().connection_made(connection.transport)

    def _start(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            handling: Any = self.handler(reader, writer)
            self.task = asyncio.get_running_loop().create_task(handling)
            # From Python 3.13 on a writer that is freed before its transport closes warns.
            self.writer = writer
        except Exception as error:
            author_failed(self.connection, error)
            return
        self.task.add_done_callback(self._handled)

    def _handled(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._explain(error)
        self.connection.transport.close()
        self.writer = None
        if self.lost:
            self.connections.end(self.connection, self.error)

    def _explain(self, error: BaseException) -> None:
        connection = self.connection
        left = (ConnectionError, asyncio.IncompleteReadError, TimeoutError)
        if error is self.error or isinstance(error, left):
            # The peer left in the middle, or TLS failed under the handler: no fault of its.
            connection.why = connection.why or str(error) or type(error).__name__
        elif isinstance(error.__context__ or error, asyncio.LimitOverrunError):
            # StreamReader.readline makes a ValueError of it.
            connection.why = f"line longer than {self.reader._limit} bytes (--limit-line)"  # type: ignore[attr-defined]
        else:
            author_failed(connection, error)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self.connection.lost()
        super().connection_lost(exc)
        self.lost = True
        self.error = exc
        if self.task is None or self.task.done():
            self.connections.end(self.connection, exc)

    def end_input(self) -> None:
        """See `connections.Link`."""
        self.data_received = nothing  # of this instance alone
        self.connection.transport.set_protocol(self)
        read_no_more(self.connection)
        self.reader.feed_eof()

    def cut(self) -> None:
        """See `connections.Link`."""
        if self.task is not None:
            self.task.cancel()
        self.connection.transport.abort()


NOBODY = asyncio.Protocol()
"""The protocol behind a link until its own is made."""


def read_no_more(connection: Connection) -> None:
    """Leave what still arrives unread; under TLS read and discard it.

    Unread data makes the loops' `SSLProtocol` drop the connection without its
    close_notify: OpenSSL's unwrap() fails on it (APPLICATION_DATA_AFTER_CLOSE_NOTIFY).
    """
    if connection.tls:
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
