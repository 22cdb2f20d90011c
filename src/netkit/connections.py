"""Every connection of a server, from its arrival to the line in the log at its end.

Rules:

- A connection arrives when the loop hands us its transport. It is then open,
  or waits for room, or is refused at once because its address has too many.
- At the limit the listeners pause. What the loop had accepted before it heard
  of that waits here, and is opened in order of arrival.
- A connection has ended when its transport is lost and its handler has
  returned. Then, and only then, its place goes to the next one.

Nothing here runs per message: bytes and silence are read from the kernel.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, cast

from netkit.kernel import Traffic, peer_credentials, traffic
from netkit.limits import Limits, last_usable_descriptor
from netkit.waiting import WaitingRoom


class Link(Protocol):
    """The asyncio protocol that ties a connection to an author's handler or protocol."""

    def begin(self, connection: Connection) -> None:
        """Make the author's protocol or start the handler, on `connection.transport`."""

    def end_input(self) -> None:
        """Let it see the end of input, as if the peer had closed its side."""

    def cut(self) -> None:
        """Drop the connection: cancel the handler, abort the transport."""


class Ended:
    """The link of a connection that has ended; it lets the real one be freed at once."""

    def begin(self, connection: Connection) -> None:
        """See `Link`."""

    def end_input(self) -> None:
        """See `Link`."""

    def cut(self) -> None:
        """See `Link`."""


ENDED = Ended()


@dataclass(slots=True, eq=False)
class Connection:
    """One connection, as the registry, the log and the limits see it."""

    id: int
    listener: str
    """URL of the listener it came by."""
    transport: asyncio.Transport
    """The innermost transport: TLS once that is set up."""
    sock: socket.socket
    peer: str
    host: str
    """The peer's IP address without port; empty for a Unix socket."""
    began: float
    """`loop.time()` at its arrival."""
    link: Link
    tls: str = ""
    """TLS version and cipher, once negotiated."""
    why: str = ""
    """Why it ended, where it was not simply closed by one side."""
    idle_at: float = 0.0
    """`loop.time()` before which it cannot have been idle too long."""
    last: Traffic | None = None
    """What the kernel had counted when the transport was lost."""

    own_sock: bool = False
    """`sock` is a duplicate that `lost` closes: under TLS the transport's own is gone by then."""

    def traffic(self) -> Traffic | None:
        """What the kernel has counted so far; None for a Unix socket."""
        return self.last or traffic(self.sock)

    def vanished(self) -> bool:
        """Whether its transport is lost unheard: its protocol was replaced (set_protocol)."""
        if self.own_sock:  # a TLS transport forgets what is under it when that is lost
            return self.transport.get_extra_info("socket") is None
        return self.sock.fileno() < 0

    def lost(self) -> None:
        """Hear that the transport is lost: read the kernel's figures for the last time."""
        self.last = self.traffic()
        if self.own_sock:
            self.sock.close()


@dataclass
class Connections:
    """The connections of one server."""

    limits: Limits
    pause: Callable[[], None]
    """Called when no more should be accepted."""
    resume: Callable[[], None]
    """Called when there is room again."""
    ended: Callable[[Connection, BaseException | None], None]
    """Called once for each connection, at its end, with its socket still open where possible."""
    open: dict[int, Connection] = field(default_factory=dict)
    waiting: deque[tuple[Connection, WaitingRoom]] = field(default_factory=deque)
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """Newcomers turned away, by reason."""
    handshake_failures: Counter[str] = field(default_factory=Counter)
    """Failed TLS handshakes, by the slug of `netkit.tls.reasons`."""
    draining: bool = False

    def __post_init__(self) -> None:
        self._by_host: Counter[str] = Counter()
        self._last_descriptor = last_usable_descriptor()
        self._full = False
        self._now = asyncio.get_running_loop().time
        self._emptied: asyncio.Event = asyncio.Event()
        self._emptied.set()

    def arrive(self, link: Link, transport: asyncio.BaseTransport, listener: str) -> None:
        """Take in a newcomer: begin it now, or later, or refuse it."""
        # uvloop's transports have the methods of asyncio.Transport, but not the base class.
        stream = cast(asyncio.Transport, transport)
        connection = self.register(link, transport.get_extra_info("socket"), listener, stream)
        if connection is None:
            stream.abort()
        elif len(self.open) >= self.limits.connections:
            self.waiting.append((connection, WaitingRoom(stream)))
        else:
            self.begin(connection)

    def register(
        self, link: Link, sock: socket.socket, listener: str, transport: asyncio.Transport
    ) -> Connection | None:
        """Give a newcomer its number; None if it is refused, and then the caller closes it."""
        peer, host = peer_of(transport, sock)
        self.accepted += 1
        connection = Connection(
            self.accepted, listener, transport, sock, peer, host, self._now(), link
        )
        if host and not self._admits(host):
            self.refused["per-address"] += 1
            connection.why = "refused: too many from its address (--limit-per-address)"
            self.ended(connection, None)
            return None
        return connection

    def begin(self, connection: Connection) -> None:
        """Open a registered connection; stop accepting if it is the last that has room."""
        self.open[connection.id] = connection
        self._emptied.clear()
        connection.link.begin(connection)
        full = len(self.open) >= self.limits.connections
        if full or connection.sock.fileno() >= self._last_descriptor:
            self._full = True
            self.pause()

    def end(self, connection: Connection, error: BaseException | None) -> None:
        """Let go of a connection that has ended. Does nothing the second time."""
        if self.open.pop(connection.id, None) is None:
            return
        self._release(connection.host)
        self.ended(connection, error)
        connection.link = ENDED
        if not self.open:
            self._emptied.set()
        if self.draining:
            return
        if self.waiting:
            self._next()
        elif self._full:
            self._full = False
            self.resume()

    def end_vanished(self, connection: Connection) -> None:
        """Let go of a connection that ended under a protocol that took over from its link."""
        connection.why = connection.why or "closed by a protocol that took over"
        connection.lost()
        self.end(connection, None)

    def turn_away(self) -> None:
        """Drop those that wait for room; none of their bytes was served."""
        while self.waiting:
            connection, room = self.waiting.popleft()
            self._release(connection.host)
            room.transport.abort()

    async def emptied(self) -> None:
        """Wait until no connection is open."""
        await self._emptied.wait()

    def _next(self) -> None:
        connection, room = self.waiting.popleft()
        room.transport.set_protocol(cast(asyncio.BaseProtocol, connection.link))
        self.begin(connection)
        room.leave(connection.link)

    def _admits(self, host: str) -> bool:
        most = self.limits.per_address
        if not most or (not self.limits.loopback and is_loopback(host)):
            return True
        if self._by_host[host] >= most:
            return False
        self._by_host[host] += 1
        return True

    def _release(self, host: str) -> None:
        if host in self._by_host:
            self._by_host[host] -= 1
            if not self._by_host[host]:
                del self._by_host[host]


def is_loopback(host: str) -> bool:
    """Whether an IP address is this machine's own."""
    return (
        host.startswith("127.")
        or host == "::1"
        or (host.startswith("::ffff:") and ipaddress.ip_address(host[7:]).is_loopback)
    )


def peer_of(transport: asyncio.BaseTransport, sock: socket.socket) -> tuple[str, str]:
    """A peer as people write it, and its host alone (empty for a Unix socket)."""
    name = transport.get_extra_info("peername")
    if isinstance(name, tuple) and name:
        host, port = name[0], name[1]
        return (f"[{host}]:{port}" if ":" in host else f"{host}:{port}"), host
    if sock.family != socket.AF_UNIX:
        return "unknown (reset at once)", ""
    credentials = peer_credentials(sock)
    if credentials is None:
        return "unix", ""
    return f"unix(pid={credentials[0]},uid={credentials[1]})", ""
