"""TLS for a socket that was accepted: the handshake, then the author's protocol on top.

The handshake is ours, not the loop's: so a connection counts from its acceptance, and why
a handshake failed is known.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from netkit.beginnings import Beginning, hand_over
from netkit.connections import Connection, Connections
from netkit.deadlines import Deadlines
from netkit.lingering import linger
from netkit.proxy_protocol import Header
from netkit.tls import ServerTLS, server_reason
from netkit.tls.hearing import Hearing
from netkit.tls.secured import secure
from netkit.tls.shaking import Shaking
from netkit.tls.transport import TLSTransport

LAST_WORDS = 1.0
"""Seconds for a peer whose handshake failed to take in why."""


class Handshake(Beginning, Shaking):
    """A connection until its handshake is done; then a link succeeds it.

    `handshakes` makes a class for each listener, which holds what all of them share.
    """

    unfinished = "shut down during the TLS handshake"
    server_tls: ServerTLS
    make_link: Callable[[], Any]
    deadlines: Deadlines[Handshake]
    keeps_hello: bool
    starttls: str | None
    _under_way = False
    _hearing: Hearing | None = None
    """While its hello is waited for, where that is kept."""
    _hello: bytes | None = None
    _header: Header | None = None
    """What a trusted proxy said of it."""

    def take(self, sock: socket.socket, peername: Any) -> None:
        """Take over an accepted socket: it counts from now on, or is refused and closed."""
        self._peername = peername
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
        self._under_way = True
        # What came before TLS, a proxy's header or the way to STARTTLS, took of the same time.
        self.deadlines.begin(self, self.began + self.connections.limits.handshake)
        if self.keeps_hello:
            self._hearing = Hearing(self.accepted, self._hear, self.failed)
        else:
            self._secure()

    def time_out(self) -> None:
        """Hear that its time is over."""
        self._stop()
        self.failed(TimeoutError())

    def cut(self) -> None:
        """See `Connection`."""
        if not self._under_way:
            super().cut()
            return
        self._stop()
        self.why = self.why or self.unfinished
        asyncio.get_running_loop().call_soon(self._done)

    def shaken(self, watched: bool) -> None:
        """See `Shaking`."""
        told: dict[str, Any] = {"peername": self._peername, "starttls": self.starttls}
        if self._hello is not None:
            told["client_hello"] = self._hello
        try:
            transport = TLSTransport(self._secured, told, watched=watched)
        except OSError as error:  # a certificate that OpenSSL takes and `ssl` cannot take apart
            self.stop_shaking()
            self.failed(error)
            return
        self.deadlines.end(self)
        self.tls = f"{self._secured.version()} {transport.get_extra_info('cipher')[0]}"
        hand_over(self, transport, self.make_link, self._header)
        transport.begin()

    def failed(self, error: OSError) -> None:
        """See `Shaking`."""
        self._under_way = False
        self.deadlines.end(self)
        reason = server_reason(error)
        self.why = self.why or f"TLS handshake failed: {reason.text}"
        self.connections.handshake_failures[reason.slug] += 1
        super().begin()

    def _hear(self, hello: bytes) -> None:
        self._hello, self._hearing = hello, None
        self._secure()

    def _secure(self) -> None:
        try:
            secured = secure(self.accepted, self.server_tls.context, server_side=True)
        except OSError as error:
            self.failed(error)
            return
        self.accepted = self.sock = secured
        self.shake_hands(secured)

    def _stop(self) -> None:
        self._under_way = False
        self.deadlines.end(self)
        if self._hearing is not None:
            self._hearing.stop()
        self.stop_shaking()

    async def go_on(self) -> None:
        """Close so that an alert arrives, which tells the peer what was wrong."""
        descriptor = self.accepted.detach()
        if descriptor >= 0:
            self.accepted = self.sock = socket.socket(fileno=descriptor)
            await linger(self.accepted, LAST_WORDS)


def handshakes(
    connections: Connections,
    listener: str,
    tls: ServerTLS,
    make_link: Callable[[], Any],
    *,
    keeps_hello: bool = False,
    starttls: str | None = None,
) -> Callable[[], Handshake]:
    """Make what makes the handshakes of one listener: a class that holds what all of them share."""
    shared: dict[str, Any] = {
        "connections": connections,
        "listener": listener,
        "server_tls": tls,
        "make_link": staticmethod(make_link),
        "deadlines": Deadlines(Handshake.time_out),
        "keeps_hello": keeps_hello,
        "starttls": starttls,
    }
    return type("Handshake", (Handshake,), shared)
