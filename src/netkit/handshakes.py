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

from netkit.beginnings import Beginning, Successor
from netkit.connections import Connection, Connections
from netkit.proxy_protocol import Header
from netkit.tls import server_reason

SHUTDOWN_TIMEOUT = 5.0
"""Seconds to wait for a peer's close_notify after ours (asyncio's default is 30)."""


class Handshake(Beginning):
    """A connection until its handshake is done; then a link succeeds it."""

    unfinished = "shut down during the TLS handshake"
    _header: Header | None = None
    """What a trusted proxy said of it."""

    def __init__(
        self,
        connections: Connections,
        listener: str,
        context: ssl.SSLContext,
        make_link: Callable[[], Any],
    ) -> None:
        self.connections = connections
        self.listener = listener
        self._context = context
        self._make_link = make_link

    def take(self, sock: socket.socket) -> None:
        """Take over an accepted socket: it counts from now on, or is refused and closed."""
        try:
            self._peername, self.sock = sock.getpeername(), sock.dup()
        except OSError:  # reset already, or no descriptor is left
            sock.close()
            return
        self.accepted = sock
        self.connections.arrive(self)

    def take_over(self, introduced: Connection, sock: socket.socket, header: Header) -> None:
        """Go on with a connection that has arrived already, once its proxy's header was read."""
        duplicate = sock.dup()
        self.accepted = sock
        self._header = header
        self.connections.succeed(introduced, self)
        self.sock = duplicate
        self.begin()

    async def go_on(self) -> None:
        """Shake hands."""
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: Successor(self, self._make_link, self._header),
                self.accepted,
                ssl=self._context,
                ssl_handshake_timeout=self.connections.limits.handshake,
                ssl_shutdown_timeout=SHUTDOWN_TIMEOUT,
            )
        except OSError as error:  # TimeoutError, ConnectionError and SSLError among them
            reason = server_reason(error)
            self.why = self.why or f"TLS handshake failed: {reason.text}"
            self.connections.handshake_failures[reason.slug] += 1
            # asyncio's frames hold the error, and its traceback them and the TLS buffers (up to
            # 256 KiB): a cycle that would wait long for the collector, which counts no bytes.
            error.__traceback__ = None
