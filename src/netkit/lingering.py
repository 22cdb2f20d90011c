"""The orderly end of a connection whose peer may still be sending.

Closing a socket that has unread data makes the kernel send a reset, and what
was on its way to the peer is lost with it (RFC 1122 section 4.2.2.13, RFC 2525
section 2.17). So at drain each connection's socket is duplicated before its
handler hears of the end. When the transport has flushed and closed its own
descriptor, the duplicate sends the end of output, then reads and discards
until the peer has closed too.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

from netkit.readiness import readable

CHUNK = 65_536


async def linger(sock: socket.socket, seconds: float) -> None:
    """Send the end of output, then read and discard until the peer's end; at most so long."""
    with contextlib.suppress(OSError):  # TimeoutError too
        sock.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(seconds):
            while True:
                await readable(sock)
                with contextlib.suppress(BlockingIOError, InterruptedError):
                    if not sock.recv(CHUNK):
                        return


class Lingering:
    """The duplicates of one drain. `close` ends them all."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._kept: dict[int, socket.socket] = {}
        self._discarding: set[socket.socket] = set()
        self._finished = asyncio.Event()
        self._finished.set()

    def keep(self, number: int, sock: socket.socket) -> None:
        """Keep a connection's socket open beyond its transport; once is enough."""
        # Without a free descriptor, or already closed: it ends as it would have.
        with contextlib.suppress(OSError):
            if number not in self._kept and sock.fileno() >= 0:
                self._kept[number] = socket.fromfd(
                    sock.fileno(), sock.family, sock.type, sock.proto
                )

    def release(self, number: int) -> None:
        """Send the end of output and read until the peer's; its transport is closed."""
        kept = self._kept.pop(number, None)
        if kept is None:
            return
        # The transport closes its descriptor after connection_lost: one turn later.
        self._discarding.add(kept)
        self._finished.clear()
        self._loop.call_soon(self._half_close, kept)

    async def finished(self) -> None:
        """Wait until every released connection's peer has closed."""
        await self._finished.wait()

    def close(self) -> None:
        """Close all, whatever state they are in."""
        for sock in list(self._discarding):
            self._finish(sock)
        for sock in self._kept.values():
            sock.close()
        self._kept.clear()

    def _half_close(self, sock: socket.socket) -> None:
        if sock.fileno() < 0:
            return
        try:
            sock.setblocking(False)
            sock.shutdown(socket.SHUT_WR)
        except OSError:  # reset by the peer meanwhile
            self._finish(sock)
        else:
            self._loop.add_reader(sock, self._discard, sock)

    def _discard(self, sock: socket.socket) -> None:
        try:
            ended = not sock.recv(CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            ended = True
        if ended:
            self._finish(sock)

    def _finish(self, sock: socket.socket) -> None:
        self._discarding.discard(sock)
        self._loop.remove_reader(sock)
        sock.close()
        if not self._discarding:
            self._finished.set()
