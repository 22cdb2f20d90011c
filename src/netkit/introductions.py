"""A connection from a trusted proxy, until it has said for whom it speaks.

The header is read from the raw socket, before TLS and before the loop makes a
transport of it: peeked at, and then taken to its last byte and no further.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any, Protocol

from netkit.beginnings import Beginning, Successor
from netkit.connections import Connection, Connections
from netkit.listeners import Take, adopt
from netkit.peernames import host_of, unix_peer
from netkit.proxy_protocol import Header, Parser, WrongHeaderError
from netkit.readiness import readable
from netkit.trust import Proxy


class Next(Protocol):
    """What comes behind a header under TLS: the handshake, or the clear part before that."""

    def take_over(self, introduced: Connection, sock: socket.socket, header: Header) -> None:
        """Go on with a connection that has arrived already, once its proxy's header was read."""


class Introduction(Beginning):
    """A connection until its header has come; then a link or the way to TLS succeeds it.

    It counts from its acceptance, but for the limit of one address: only when
    the real peer is known.
    """

    unfinished = "shut down before its PROXY header"
    header: Header | None = None
    """Set once the real peer is known and may be served."""

    def __init__(
        self,
        connections: Connections,
        listener: str,
        make_next: Callable[[], Next] | None,
        make_link: Callable[[], Any],
    ) -> None:
        self.connections = connections
        self.listener = listener
        self._make_next = make_next
        self._make_link = make_link

    def take(self, sock: socket.socket, peername: Any) -> None:
        """Take over an accepted socket: it counts from now on."""
        self._peername = unix_peer(sock) if sock.family == socket.AF_UNIX else peername
        self.accepted = self.sock = sock
        self.connections.arrive(self)

    @property
    def host(self) -> str:
        """The real peer's IP address; empty until it is known."""
        return host_of(self._peername) if self.header is not None else ""

    async def go_on(self) -> None:
        """Hear whom it speaks for."""
        limit = self.connections.limits.handshake
        try:
            async with asyncio.timeout(limit):
                header = await read_header(self.sock)
        except WrongHeaderError as error:
            self._turn_away(str(error))
        except TimeoutError:
            self._turn_away(f"no PROXY header within {limit:g} s (--limit-handshake)")
        except OSError as error:
            self._turn_away(f"{os.strerror(error.errno or 0)} before its PROXY header")
        else:
            await self._serve(header)

    def _turn_away(self, why: str) -> None:
        self.connections.refused["proxy-header"] += 1
        self.why = self.why or why

    async def _serve(self, header: Header) -> None:
        if header.source is not None:
            source = header.source
            self._peername = source if isinstance(source, tuple) else unix_name(source)
        if not self.connections.admits(self, host_of(self._peername)):
            return
        self.header = header
        if self._make_next is None:
            await adopt(lambda: Successor(self, self._make_link, header), self.sock)
            return
        try:
            self._make_next().take_over(self, self.sock, header)
        except OSError as error:  # no descriptor is left
            self.why = os.strerror(error.errno or 0)


def introducing(proxy: Proxy, others: Take, introduction: Callable[[], Introduction]) -> Take:
    """Make what has trusted proxies introduce their connections; `others` takes those of others."""

    def take(conn: socket.socket, peername: Any) -> asyncio.Task[None] | None:
        try:
            trusted = proxy.trusts(conn)
        except OSError:  # reset already: nobody knows by whom
            conn.close()
            return None
        if not trusted:
            return others(conn, peername)
        introduction().take(conn, peername)
        return None

    return take


async def read_header(sock: socket.socket) -> Header:
    """Read a header from a non-blocking socket and leave there what comes after it.

    Raises `WrongHeaderError`, and OSError if the connection is reset.
    """
    parser = Parser()
    while parser.header is None:
        data = await peek(sock, parser.wanted)
        if not data:
            raise WrongHeaderError("ended before its PROXY header was complete")
        taken = parser.feed(data)
        while taken:
            taken -= len(sock.recv(taken))
    return parser.header


async def peek(sock: socket.socket, most: int) -> bytes:
    """Return what has arrived, once something has, and leave it there; empty at the end."""
    while True:
        try:
            return sock.recv(most, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            await readable(sock)


def unix_name(path: str | bytes) -> str:
    """A Unix socket's name as people write it; ``unix`` if it has none."""
    text = os.fsdecode(path)
    if text.startswith("\0"):
        text = "@" + text[1:]
    return f"unix:{text}" if text else "unix"
