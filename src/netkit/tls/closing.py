"""TLS's own end of a stream: the close_notify alert, one for each direction.

RFC 8446 section 6.1: it ends what its sender sends, and nothing else; the other
direction goes on. OpenSSL's ``SSL_shutdown()`` can do that. CPython's
``SSLSocket.unwrap()`` calls it twice, the second time to read the peer's, and that
is fatal to the connection if data comes first (APPLICATION_DATA_AFTER_CLOSE_NOTIFY).
"""

from __future__ import annotations

import os
import socket
import ssl
from contextlib import suppress


def close_notify(sock: ssl.SSLSocket) -> bytes:
    """Make the alert, for the caller to send; `sock` can be read on, and no more be written.

    For the moment of the call the descriptor is one end of a socket pair: OpenSSL writes
    the alert there, and finds nothing to read. The loop's interest in the descriptor stays
    as it is (epoll(7): it belongs to descriptor and open file together, and both come
    back). Raises OSError if there is no descriptor left for that.
    """
    descriptor = sock.fileno()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        kept = os.dup(descriptor)
        try:
            os.dup2(theirs.fileno(), descriptor, inheritable=False)
            try:
                with suppress(ssl.SSLWantReadError):
                    sock.unwrap()
            finally:
                os.dup2(kept, descriptor, inheritable=False)
        finally:
            os.close(kept)
        ours.setblocking(False)
        try:
            return ours.recv(1024)
        except BlockingIOError:  # it was sent before
            return b""
