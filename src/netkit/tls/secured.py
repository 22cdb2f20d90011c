"""A socket with OpenSSL tied to it, for a handshake that does not wait."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import Any


class Secured(ssl.SSLSocket):
    """The kind of socket that netkit's contexts make (`ssl.SSLContext.sslsocket_class`).

    Where the peer has reset already, `ssl` takes the socket for one that is yet to be
    connected, and may lose it in an error without closing it. Here that comes to
    light in the handshake.
    """

    def getpeername(self) -> Any:
        """See `socket.socket`; None if the peer is gone."""
        try:
            return super().getpeername()
        except OSError as error:
            if error.errno == errno.ENOTCONN:
                return None
            raise


def secure(
    sock: socket.socket,
    context: ssl.SSLContext,
    *,
    server_side: bool,
    server_hostname: str | None = None,
) -> ssl.SSLSocket:
    """Tie OpenSSL to a connected, non-blocking socket; the result owns the descriptor.

    An end without close_notify is `ssl.SSLEOFError`, not a clean end. Raises OSError if
    the peer is gone.
    """
    if sock.family != socket.AF_UNIX:
        # As the loops do. Else an answer waits behind the session tickets of TLS 1.3, which
        # are small, until the client's kernel acknowledges them: 40 ms.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(
        sock,
        server_side=server_side,
        server_hostname=server_hostname,
        do_handshake_on_connect=False,
        suppress_ragged_eofs=False,
    )
