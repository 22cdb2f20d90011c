"""A client's first message, seen before the handshake and left for that."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

LONGEST_HELLO = 32_768
"""Bytes of a ClientHello that are kept at most; one with post-quantum keys has about 1,800."""

_HEADER = 5
"""Bytes before a TLS record's content (RFC 8446 section 5.1); the last two are its length."""


class Hearing:
    """Waits for a peer's first message on a non-blocking socket, which stays the caller's.

    Once, unless it is stopped before, `heard` is called with that message as TLS records: with
    what there is of it at the end of input, and with nothing if it is not TLS, or is longer
    than `LONGEST_HELLO` bytes. Or `failed` is, with an OSError.
    """

    __slots__ = ("_descriptor", "_failed", "_heard", "_loop", "_seen", "_sock", "_wanted")

    def __init__(
        self,
        sock: socket.socket,
        heard: Callable[[bytes], object],
        failed: Callable[[OSError], object],
    ) -> None:
        self._sock = sock
        self._heard = heard
        self._failed = failed
        self._descriptor = sock.fileno()
        self._loop = asyncio.get_running_loop()
        self._seen = 0
        self._want(_HEADER)
        self._loop.add_reader(self._descriptor, self._on_readable)

    def stop(self) -> None:
        """Wait no more."""
        self._loop.remove_reader(self._descriptor)
        self._want(1)

    def _want(self, size: int) -> None:
        # Below this mark the kernel reports nothing to read (socket(7)): peeking does not
        # take away what is there, and the loop would turn without rest.
        self._wanted = size
        with suppress(OSError):  # reset meanwhile, on other systems than Linux: reading tells it
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)

    def _on_readable(self) -> None:
        try:
            found = self._sock.recv(LONGEST_HELLO, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.stop()
            self._failed(error)
            return
        wanted = self._wanted
        if len(found) > self._seen:  # otherwise it is the end of input
            self._seen, wanted = len(found), _length(found)
            if len(found) < wanted:
                self._want(wanted)
                return
        self.stop()
        self._heard(found[:wanted])


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
