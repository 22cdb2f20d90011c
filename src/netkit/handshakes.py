"""TLS for a socket that was accepted: the handshake, then the author's protocol on top.

The handshake is ours, not the loop's: so a connection counts from its acceptance, and why
a handshake failed is known.
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
from netkit.steps import Stepping, Steps
from netkit.tls import server_reason
from netkit.tls.secured import secure
from netkit.tls.shaking import client_hello, shake_hands
from netkit.tls.transport import TLSTransport

LAST_WORDS = 1.0
"""Seconds for a peer whose handshake failed to take in why."""


class Handshake(Beginning):
    """A connection until its handshake is done; then a link succeeds it."""

    unfinished = "shut down during the TLS handshake"
    _deadline: asyncio.TimerHandle
    _stepping: Stepping[TLSTransport] | None = None
    """While hands are shaken."""
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

    def begin(self) -> None:
        """See `Connection`."""
        # What came before TLS, a proxy's header or the way to STARTTLS, took of the same time.
        limit = self.began + self.connections.limits.handshake
        late = TimeoutError()
        self._deadline = asyncio.get_running_loop().call_at(limit, self._fail, late)
        descriptor = self.accepted.fileno()
        self._stepping = Stepping(descriptor, self._steps(), self._succeed, self._fail)
        self._stepping.go_on()

    def cut(self) -> None:
        """See `Connection`."""
        if self._stepping is None:
            super().cut()
            return
        self._stop()
        self.why = self.why or self.unfinished
        asyncio.get_running_loop().call_soon(self._done)

    def _steps(self) -> Steps[TLSTransport]:
        extra: dict[str, Any] = {"peername": self._peername, "starttls": self._starttls}
        if self._keeps_hello:
            extra["client_hello"] = yield from client_hello(self.accepted)
        secured = secure(self.accepted, self._context, server_side=True)
        self.accepted = self.sock = secured
        yield from shake_hands(secured)
        return TLSTransport(secured, extra)

    def _stop(self) -> None:
        self._deadline.cancel()
        if self._stepping is not None:
            self._stepping.stop()
            self._stepping = None

    def _succeed(self, transport: TLSTransport) -> None:
        self._stop()
        Successor(self, self._make_link, self._header).connection_made(transport)
        transport.begin()

    def _fail(self, error: OSError) -> None:
        self._stop()
        reason = server_reason(error)
        self.why = self.why or f"TLS handshake failed: {reason.text}"
        self.connections.handshake_failures[reason.slug] += 1
        super().begin()

    async def go_on(self) -> None:
        """Close so that an alert arrives, which tells the peer what was wrong."""
        descriptor = self.accepted.detach()
        if descriptor >= 0:
            self.accepted = self.sock = socket.socket(fileno=descriptor)
            await linger(self.accepted, LAST_WORDS)
