"""Every connection of a server, from its arrival to the line in the log at its end.

Rules:

- A connection arrives when the loop hands us its transport. It is then open,
  or waits for room, or is refused at once because its address has too many.
- At the limit the listeners pause. What the loop had accepted before it heard
  of that waits here, and is opened in order of arrival.
- A connection has ended when its transport is lost and its handler has
  returned. Then, and only then, its place goes to the next one.

Nothing here runs per message: bytes and silence are read from the kernel. And
little runs per connection: what only the log or a rare case asks for, as the
peer's name, is worked out when it is asked for.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Any, cast

from netkit.crowding import Crowding
from netkit.kernel import Traffic, decoded, tcp_info
from netkit.limits import Limits, last_usable_descriptor
from netkit.peernames import host_of, unix_peer, written
from netkit.waiting import WaitingRoom

CROWDED = "refused: too many from its address (--limit-per-address)"


class Connection:
    """One connection: what is known of it, and how it begins and ends.

    The subclasses in `links` are the loop's protocol for it and tie it to an
    author's code. The one in `handshakes` stands until TLS is set up.
    """

    connections: Connections
    """The registry it is in."""
    listener: str
    """URL of the listener it came by."""

    id: int
    """Its number, from 1."""
    transport: asyncio.Transport
    """The innermost transport: TLS once that is set up."""
    sock: socket.socket
    """The transport's; under TLS a duplicate, since the transport's own is gone at its end."""
    began: float
    """`loop.time()` at its arrival."""

    # Values of the class stand for those that most connections never get.
    tls = ""
    """TLS version and cipher, once negotiated."""
    why = ""
    """Why it ended, where it was not simply closed by one side."""
    idle_at = 0.0
    """`loop.time()` before which it cannot have been idle too long."""
    last: bytes | Traffic | None = None
    """What was counted when the transport was lost: as `kernel.tcp_info` has it, or decoded."""
    _peername: Any = None

    def begin(self) -> None:
        """Make the author's protocol or start the handler, on `transport`."""
        raise NotImplementedError

    def end_input(self) -> None:
        """Let it see the end of input, as if the peer had closed its side."""
        raise NotImplementedError

    def cut(self) -> None:
        """Drop it: cancel the handler, abort the transport."""
        raise NotImplementedError

    @property
    def peername(self) -> Any:
        """The peer's address as `socket.getpeername` gives it; None if it reset at once."""
        try:
            return self._peername or self.transport.get_extra_info("peername")
        except ValueError:  # uvloop asks the socket then, and that is closed by now
            return None

    @property
    def host(self) -> str:
        """The peer's IP address; empty for a Unix socket."""
        return host_of(self.peername)

    @property
    def peer(self) -> str:
        """The peer as people write it."""
        name = self.peername
        if not name and self.sock.family == socket.AF_UNIX:
            return unix_peer(self.sock)
        return written(name)

    def traffic(self) -> Traffic | None:
        """What the kernel has counted so far; None if it has not."""
        last = tcp_info(self.sock.fileno()) if self.last is None else self.last
        return decoded(last) if isinstance(last, bytes) else last

    def unsent(self) -> int:
        """Bytes that wait in the transport's write buffer."""
        return self.transport.get_write_buffer_size()

    def vanished(self) -> bool:
        """Whether its transport is lost unheard: its protocol was replaced (set_protocol)."""
        if self.tls:  # a TLS transport forgets what is under it when that is lost
            return self.transport.get_extra_info("socket") is None
        return self.sock.fileno() < 0

    def lost(self) -> None:
        """Hear that the transport is lost: ask the kernel for the last time."""
        self.last = tcp_info(self.sock.fileno())
        if not self.last and self.sock.family == socket.AF_UNIX:
            self._peername = self.peer  # who it was can be asked for while it is open
        if self.tls:
            self.sock.close()

    def succeed(self, other: Connection) -> None:
        """Go on where `other` stood: the same connection, in its next state."""
        self.id, self.began, self.sock = other.id, other.began, other.sock
        self._peername = other._peername


class Connections:
    """The connections of one server.

    `pause` is called when no more should be accepted, `resume` when there is room
    again, and `ended` once for each connection, at its end.
    """

    def __init__(
        self,
        limits: Limits,
        pause: Callable[[], None],
        resume: Callable[[], None],
        ended: Callable[[Connection, BaseException | None], None],
    ) -> None:
        self.limits = limits
        self.open: dict[int, Connection] = {}
        self.waiting: deque[tuple[Connection, WaitingRoom]] = deque()
        self.accepted = 0
        self.refused: Counter[str] = Counter()
        """Newcomers turned away, by reason."""
        self.handshake_failures: Counter[str] = Counter()
        """Failed TLS handshakes, by the slug of `netkit.tls.reasons`."""
        self.draining: Callable[[Connection], None] | None = None
        """While the server drains: called at each connection's end."""
        self._pause, self._resume, self._ended = pause, resume, ended
        self._crowding = Crowding(limits)
        self._uncrowded = min(limits.connections, limits.per_address or limits.connections)
        self._roomy = self._uncrowded
        """With fewer open than this, nothing can refuse a newcomer or has to count it."""
        self._last_descriptor = last_usable_descriptor()
        self._full = False
        self.now = asyncio.get_running_loop().time
        self._emptied = asyncio.Event()

    def arrive(self, connection: Connection) -> None:
        """Take in a newcomer, whose `sock` is set: begin it now, or later, or refuse it."""
        self.accepted = connection.id = self.accepted + 1
        connection.began = self.now()
        if len(self.open) < self._roomy or self._has_place(connection):
            self._begin(connection)

    def admits(self, host: str) -> bool:
        """Whether an open connection, which was nobody's so far, may be one of `host`."""
        others = len(self.open) + len(self.waiting) - 1
        if not self._crowding.possible(others):
            return True
        admitted = self._crowding.admits(host, self._hosts())
        self._mind_crowding()
        if not admitted:
            self.refused["per-address"] += 1
        return admitted

    def succeed(self, connection: Connection, successor: Connection) -> bool:
        """Let another object stand for the same connection; False if that has ended."""
        if self.open.get(connection.id) is not connection:
            return False
        successor.succeed(connection)
        self.open[connection.id] = successor
        return True

    def end(self, connection: Connection, error: BaseException | None) -> None:
        """Let go of a connection that has ended. Does nothing the second time."""
        if self.open.pop(connection.id, None) is None:
            return
        if self._crowding.counts is not None:
            self._release(connection)
        self._ended(connection, error)
        if not self.open:
            self._emptied.set()
        if self.draining is not None:
            self.draining(connection)
        elif self.waiting:
            self._next()
        elif self._full:
            self._full = False
            self._resume()

    def end_vanished(self, connection: Connection) -> None:
        """Let go of a connection that ended under a protocol that took over from its own."""
        connection.why = connection.why or "closed by a protocol that took over"
        connection.lost()
        self.end(connection, None)

    def turn_away(self) -> None:
        """Drop those that wait for room; none of their bytes was served."""
        while self.waiting:
            connection, room = self.waiting.popleft()
            self._release(connection)
            room.transport.abort()

    async def emptied(self) -> None:
        """Wait until no connection is open."""
        while self.open:
            self._emptied.clear()
            await self._emptied.wait()

    def _has_place(self, connection: Connection) -> bool:
        others = len(self.open) + len(self.waiting)
        if self._crowding.possible(others):
            admitted = self._crowding.admits(connection.host, self._hosts())
            self._mind_crowding()
            if not admitted:
                self._refuse(connection)
                return False
        if len(self.open) >= self.limits.connections:
            self.waiting.append((connection, WaitingRoom(connection.transport)))
            return False
        return True

    def _refuse(self, connection: Connection) -> None:
        self.refused["per-address"] += 1
        connection.why = CROWDED
        connection.lost()
        self._ended(connection, None)
        connection.cut()

    def _begin(self, connection: Connection) -> None:
        self.open[connection.id] = connection
        connection.begin()
        # The last that has room, or one that took one of the last descriptors.
        full = len(self.open) >= self.limits.connections
        if full or connection.sock.fileno() >= self._last_descriptor:
            self._full = True
            self._pause()

    def _next(self) -> None:
        connection, room = self.waiting.popleft()
        room.transport.set_protocol(cast(asyncio.BaseProtocol, connection))
        self._begin(connection)
        room.leave(connection)

    def _hosts(self) -> Iterator[str]:
        yield from (connection.host for connection in self.open.values())
        yield from (connection.host for connection, _ in self.waiting)

    def _release(self, connection: Connection) -> None:
        self._crowding.release(connection.host, len(self.open) + len(self.waiting))
        self._mind_crowding()

    def _mind_crowding(self) -> None:
        # While addresses are counted, every newcomer has to be.
        self._roomy = self._uncrowded if self._crowding.counts is None else 0
