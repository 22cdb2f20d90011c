"""The TLS handshake on a non-blocking socket, the same for servers and clients.

Once `secured` has tied OpenSSL to the socket itself, ``do_handshake()`` goes on as far
as it can without waiting, and says what it waits for: bytes of the peer's
(`ssl.SSLWantReadError`), or room to send (`ssl.SSLWantWriteError`). These are `steps`.
"""

from __future__ import annotations

import socket
import ssl

from netkit.steps import Steps, Until

LONGEST_HELLO = 32_768
"""Bytes of a ClientHello that are kept at most; one with post-quantum keys has about 1,800."""

_HEADER = 5
"""Bytes before a TLS record's content (RFC 8446 section 5.1); the last two are its length."""


def shake_hands(sock: ssl.SSLSocket) -> Steps[None]:
    """Do the handshake; the socket stays open, however it ends.

    Raises `ssl.SSLError` and OSError; the peer has been sent the alert that belongs to it.
    """
    while True:
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            yield Until.READABLE
        except ssl.SSLWantWriteError:
            yield Until.WRITABLE
        else:
            return


def client_hello(sock: socket.socket) -> Steps[bytes]:
    """Wait for the peer's first message, as TLS records, and leave it there.

    What there is of it at the end of input; empty if it is not TLS, or is longer than
    `LONGEST_HELLO` bytes. Raises OSError.
    """
    found, wanted = b"", _HEADER
    while len(found) < wanted:
        before = len(found)
        found = yield from _peek(sock, wanted)
        if len(found) <= before:
            break  # its end
        wanted = _length(found)
    return found[:wanted]


def _length(found: bytes) -> int:
    """Bytes that the records of a hello take, as far as what was `found` of it tells."""
    place, content = 0, b""
    while len(found) >= place + _HEADER:
        size = int.from_bytes(found[place + 3 : place + _HEADER])
        content += found[place + _HEADER : place + _HEADER + size]
        if found[place] != 22 or not size:  # 22: a handshake's
            return 0
        place += _HEADER + size
        # The message's own header: its type, and three bytes of length.
        if len(content) >= 4 and len(content) >= 4 + int.from_bytes(content[1:4]):
            return place
        if len(found) < place:
            break
    else:
        place += _HEADER
    return place if place <= LONGEST_HELLO else 0


def _peek(sock: socket.socket, wanted: int) -> Steps[bytes]:
    """So many bytes or more, once they have come; fewer at the end."""
    while True:
        # Below this mark the kernel reports nothing to read (socket(7)): peeking does not
        # take away what is there, and the loop would turn without rest.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, wanted)
        try:
            yield Until.READABLE
            return sock.recv(LONGEST_HELLO, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            continue
        finally:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
