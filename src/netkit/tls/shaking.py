"""The TLS handshake on a non-blocking socket, the same for servers and clients.

Once `secured` has tied OpenSSL to the socket itself, ``do_handshake()`` goes on as far
as it can without waiting, and says what it waits for: bytes of the peer's
(`ssl.SSLWantReadError`), or room to send (`ssl.SSLWantWriteError`).
"""

from __future__ import annotations

import asyncio
import socket
import ssl

from netkit.steps import Steps, Until
from netkit.tls.secured import Secured

LONGEST_HELLO = 32_768
"""Bytes of a ClientHello that are kept at most; one with post-quantum keys has about 1,800."""

_HEADER = 5
"""Bytes before a TLS record's content (RFC 8446 section 5.1); the last two are its length."""


class Shaking:
    """A handshake that is under way; a subclass says what follows it.

    Once, unless it is stopped before, `shaken` is called or `failed`. The socket stays the
    caller's, however it ends.
    """

    _secured: Secured
    _loop: asyncio.AbstractEventLoop
    _reads = _writes = False
    """Whether the loop looks for something to read, or for room to write."""

    def shaken(self, watched: bool) -> None:
        """Go on, once hands are shaken.

        `watched`: the loop still looks for something to read, for nobody. Whoever reads next
        calls ``add_reader`` in its place, which takes no system call, or ``remove_reader``.
        """
        raise NotImplementedError

    def failed(self, error: OSError) -> None:
        """Hear of an `ssl.SSLError`, whose alert the peer has been sent, or another OSError."""
        raise NotImplementedError

    def shake_hands(self, secured: Secured) -> None:
        """Begin, and go as far as it goes without waiting."""
        self._secured = secured
        self._loop = asyncio.get_running_loop()
        self._go_on_shaking()

    def stop_shaking(self) -> None:
        """Go on no more. Does nothing if it is over."""
        if self._reads:
            self._reads = False
            self._loop.remove_reader(self._secured.fileno())
        if self._writes:
            self._writes = False
            self._loop.remove_writer(self._secured.fileno())

    def _go_on_shaking(self) -> None:
        try:
            self._secured.do_handshake()
        except ssl.SSLWantReadError:
            if not self._reads:
                self.stop_shaking()
                self._reads = True
                self._loop.add_reader(self._secured.fileno(), self._go_on_shaking)
        except ssl.SSLWantWriteError:
            if not self._writes:
                self.stop_shaking()
                self._writes = True
                self._loop.add_writer(self._secured.fileno(), self._go_on_shaking)
        except OSError as error:
            self.stop_shaking()
            self.failed(error)
        else:
            if self._writes:
                self.stop_shaking()
            self.shaken(self._reads)


class _Awaited(Shaking):
    """A handshake that a task waits for."""

    def __init__(self) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def shaken(self, watched: bool) -> None:
        self.done.set_result(None)

    def failed(self, error: OSError) -> None:
        self.done.set_exception(error)


async def shake_hands(secured: Secured) -> None:
    """Do the handshake in a task; raises what `Shaking.failed` hears of."""
    shaking = _Awaited()
    try:
        shaking.shake_hands(secured)
        await shaking.done
    finally:
        shaking.stop_shaking()


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
