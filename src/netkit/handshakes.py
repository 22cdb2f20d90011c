"""TLS for a socket that was accepted: the handshake, then the author's protocol on top.

The handshake is a task of ours (`loop.connect_accepted_socket`), not hidden in
the loop's server as with ``create_server(ssl=…)``: so a connection counts from
its acceptance, and why a handshake failed is known, on both loops.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

from netkit.connections import Connection, Connections, Link
from netkit.tls import server_reason

SHUTDOWN_TIMEOUT = 5.0
"""Seconds to wait for a peer's close_notify after ours (asyncio's default is 30)."""


class Handshake:
    """The link of a connection until its handshake is done; it owns the task that does it."""

    def __init__(
        self,
        connections: Connections,
        listener: str,
        context: ssl.SSLContext,
        inner: Callable[[], Any],
    ) -> None:
        self._connections = connections
        self._listener = listener
        self._context = context
        self._inner = inner
        self._task: asyncio.Task[None] | None = None

    def take(self, sock: socket.socket) -> None:
        """Take over an accepted socket: it counts from now on, or is refused and closed."""
        try:
            transport, own = NoTransport(sock), sock.dup()
        except OSError:  # reset already, or no descriptor is left
            sock.close()
            return
        self._sock = sock
        connection = self._connections.register(self, own, self._listener, transport)
        if connection is None:
            sock.close()
            own.close()
            return
        connection.own_sock = True
        self._connections.begin(connection)

    def begin(self, connection: Connection) -> None:
        """See `connections.Link`."""
        self._connection = connection
        self._task = asyncio.get_running_loop().create_task(self._handshake())
        self._task.add_done_callback(self._done)

    async def _handshake(self) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._secured,
                self._sock,
                ssl=self._context,
                ssl_handshake_timeout=self._connections.limits.handshake,
                ssl_shutdown_timeout=SHUTDOWN_TIMEOUT,
            )
        except OSError as error:  # TimeoutError, ConnectionError and SSLError among them
            reason = server_reason(error)
            connection = self._connection
            connection.why = connection.why or f"TLS handshake failed: {reason.text}"
            self._connections.handshake_failures[reason.slug] += 1
            # asyncio's frames hold the error, and its traceback them and the TLS buffers (up to
            # 256 KiB): a cycle that would wait long for the collector, which counts no bytes.
            error.__traceback__ = None

    def _secured(self) -> asyncio.BaseProtocol:
        return Secured(self._connection, self._inner())

    def _done(self, task: asyncio.Task[None]) -> None:
        if self._connection.link is self:
            self._sock.close()
            self._connection.lost()
            self._connections.end(self._connection, None)

    def end_input(self) -> None:
        """See `connections.Link`."""
        self.cut()

    def cut(self) -> None:
        """See `connections.Link`."""
        self._connection.why = "shut down during the TLS handshake"
        if self._task is not None:
            self._task.cancel()


class Secured(asyncio.Protocol):
    """Hears that the handshake is done, and hands over to the author's link."""

    def __init__(self, connection: Connection, link: Link) -> None:
        self._connection = connection
        self._link: Any = link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the author's link begin, on the transport under which TLS runs."""
        connection = self._connection
        secured: Any = transport
        connection.transport = secured
        connection.tls = negotiated(transport)
        connection.link = self._link
        secured.set_protocol(self._link)
        self._link.begin(connection)


class NoTransport(asyncio.Transport):
    """Stands for the transport of a connection that has none yet."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__({"socket": sock, "peername": sock.getpeername()})

    def get_write_buffer_size(self) -> int:
        """Nothing is written yet."""
        return 0

    def abort(self) -> None:
        """Nothing is to be aborted before the handshake's task makes a transport."""


def negotiated(transport: asyncio.BaseTransport) -> str:
    """Version and cipher as people write them: ``TLSv1.3 TLS_AES_256_GCM_SHA384``."""
    secured = transport.get_extra_info("ssl_object")
    return f"{secured.version()} {secured.cipher()[0]}"
