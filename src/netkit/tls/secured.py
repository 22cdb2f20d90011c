"""A socket with OpenSSL tied to it, for a handshake that does not wait."""

from __future__ import annotations

import socket
import ssl
from typing import Any

# The numbers as they are, without `socket.AddressFamily` and its search for a name.
_FAMILY: Any = socket.SocketType.family
_PROTOCOL: Any = socket.SocketType.proto


class Secured(ssl.SSLSocket):
    """A connected, non-blocking socket under OpenSSL; `secure` makes them."""

    def do_handshake(self, block: bool = False) -> None:
        """See `ssl.SSLSocket`; it never waits, and so has no timeout to put back by ioctl(2)."""
        tied: Any = self
        tied._sslobj.do_handshake()


def secure(
    sock: socket.socket,
    context: ssl.SSLContext,
    *,
    server_side: bool,
    server_hostname: str | None = None,
) -> Secured:
    """Tie OpenSSL to a connected, non-blocking socket; the result owns the descriptor.

    An end without close_notify is `ssl.SSLEOFError`, not a clean end. Raises OSError if that
    cannot be done: close `sock` then. A peer that is gone comes to light in the handshake.

    As `ssl.SSLContext.wrap_socket`, which asks the kernel five times for what is known here, and
    takes a peer that has reset for one that is yet to be connected: decision 0012. What `ssl`
    sets on such a socket has had these names since Python 3.7; a test compares them.
    """
    if context.check_hostname and not server_hostname:
        raise ValueError("check_hostname requires server_hostname")
    family = _FAMILY.__get__(sock)
    if family != socket.AF_UNIX:
        # As the loops do. Else an answer waits behind the session tickets of TLS 1.3, which
        # are small, until the client's kernel acknowledges them: 40 ms.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    maker: Any = context
    secured = Secured.__new__(Secured)
    inside: Any = secured
    name = maker._encode_hostname(server_hostname)
    socket.socket.__init__(
        secured, family, socket.SOCK_STREAM, _PROTOCOL.__get__(sock), sock.detach()
    )
    secured.setblocking(False)
    inside._context, inside._session, inside._sslobj = context, None, None
    inside._closed, inside._connected = False, True
    inside.server_side, inside.server_hostname = server_side, name
    inside.do_handshake_on_connect = inside.suppress_ragged_eofs = False
    try:
        inside._sslobj = maker._wrap_socket(secured, server_side, name, owner=secured)
    except BaseException:  # whatever it is, the descriptor is ours by now
        secured.close()
        raise
    return secured
