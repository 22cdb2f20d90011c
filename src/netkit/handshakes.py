"""TLS for a socket that was accepted: the handshake, then the author's protocol on top.

The handshake is a task of ours: so a connection counts from its acceptance, and why a
handshake failed is known.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

from netkit.beginnings import Beginning, Successor
from netkit.connections import Connection, Connections
from netkit.lingering import linger
from netkit.proxy_protocol import Header
from netkit.tls import server_reason
from netkit.tls.secured import secure
from netkit.tls.shaking import client_hello, shake_hands
from netkit.tls.transport import TLSTransport

LAST_WORDS = 1.0
"""Seconds for a peer whose handshake failed to take in why."""


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
        *,
        keeps_hello: bool = False,
        starttls: str | None = None,
    ) -> None:
        self.connections = connections
        self.listener = listener
        self._context = context
        self._make_link = make_link
        self._keeps_hello = keeps_hello
        self._starttls = starttls

    def take(self, sock: socket.socket) -> None:
        """Take over an accepted socket: it counts from now on, or is refused and closed."""
        try:
            self._peername = sock.getpeername()
        except OSError:  # reset already
            sock.close()
            return
        self.accepted = self.sock = sock
        self.connections.arrive(self)

    def take_over(self, introduced: Connection, sock: socket.socket, header: Header | None) -> None:
        """Go on with a connection that has arrived already, once what precedes TLS was read."""
        self._header = header
        self.connections.succeed(introduced, self)
        self.accepted = self.sock = sock
        self.begin()

    async def go_on(self) -> None:
        """Shake hands."""
        try:
            # What came before TLS, a proxy's header or the way to STARTTLS, took of the same time.
            async with asyncio.timeout_at(self.began + self.connections.limits.handshake):
                transport = await self._shake_hands()
        except OSError as error:  # TimeoutError, ConnectionError and SSLError among them
            reason = server_reason(error)
            self.why = self.why or f"TLS handshake failed: {reason.text}"
            self.connections.handshake_failures[reason.slug] += 1
            await self._leave()
        else:
            Successor(self, self._make_link, self._header).connection_made(transport)
            transport.begin()

    async def _shake_hands(self) -> TLSTransport:
        extra: dict[str, Any] = {"peername": self._peername, "starttls": self._starttls}
        if self._keeps_hello:
            extra["client_hello"] = await client_hello(self.accepted)
        secured = secure(self.accepted, self._context, server_side=True)
        self.accepted = self.sock = secured
        await shake_hands(secured)
        return TLSTransport(secured, extra)

    async def _leave(self) -> None:
        """Close so that an alert arrives, which tells the peer what was wrong."""
        descriptor = self.accepted.detach()
        if descriptor >= 0:
            self.accepted = self.sock = socket.socket(fileno=descriptor)
            await linger(self.accepted, LAST_WORDS)
