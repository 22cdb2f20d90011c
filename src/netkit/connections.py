"""Every connection of a server, from its arrival to the line in the log at its end.

Rules:

- A connection arrives when the loop hands us its transport. It is then open,
  or waits for room, or is refused at once because its address has too many.
- While something stands against newcomers (see `gate`) the listeners pause. What
  the loop had accepted before it heard of that waits here, and is opened in order
  of arrival.
- A connection has ended when its transport is lost and its handler has
  returned. Then, and only then, its place goes to the next one.

Nothing here runs per message: bytes and silence are read from the kernel. And little
runs per connection: what a rare case asks for is worked out when it is asked for.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter, deque
from collections.abc import Callable, Iterator
from math import inf
from typing import Any, cast

from netkit.crowding import Crowding, ExactCrowding, SharedCrowding
from netkit.gate import Gate
from netkit.kernel import Traffic, decoded, tcp_info
from netkit.ledger import Account
from netkit.limits import Limits, last_usable_descriptor
from netkit.origins import WHY, groups, origin
from netkit.pacing import Pace
from netkit.peernames import host_of, unix_peer, written
from netkit.waiting import WaitingRoom


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
    """The transport's, to ask the kernel about."""
    began: float
    """`loop.time()` at its arrival."""

    tls: str
    """TLS version and cipher, once negotiated."""
    why: str
    """Why it ended, where it was not simply closed by one side."""
    last: bytes | Traffic | None
    """What was counted when the transport was lost: as `kernel.tcp_info` has it, or decoded."""
    # Values of the class, which Python 3.11 reads in 300 instructions, stand for what few get.
    says: str | Callable[[], str] = ""
    """What its author says of it (`descriptions`), or what says it when asked."""
    idle_at = 0.0
    """`loop.time()` before which it cannot have been idle too long."""
    origin = b""
    """For whom it was counted, as `origins.origin` has it; empty if it never was."""
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
        return self.sock.fileno() < 0

    def lost(self) -> None:
        """Hear that the transport is lost: ask the kernel for the last time."""
        self.last = tcp_info(self.sock.fileno())
        if not self.last and self.sock.family == socket.AF_UNIX:
            self._peername = self.peer  # who it was can be asked for while it is open
        if self.tls and not self.why and self.transport.get_extra_info("truncated"):
            self.why = "closed by peer without close_notify"

    def succeed(self, other: Connection) -> None:
        """Go on where `other` stood: the same connection, in its next state."""
        self.id, self.began, self.tls = other.id, other.began, other.tls
        self.why, self.last = "", None
        self.sock, self._peername, self.origin = other.sock, other._peername, other.origin


class Connections:
    """The connections of one server.

    `pause` is called when no more should be accepted, `resume` when there is room
    again, and `ended` once for each connection, at its end. `account` is for one of
    several workers: what all have together counts then.
    """

    def __init__(
        self,
        limits: Limits,
        pause: Callable[[], None],
        resume: Callable[[], None],
        ended: Callable[[Connection, BaseException | None], None],
        account: Account | None = None,
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
        self.gate = Gate(pause, self._let_in, resume)
        """What stands against newcomers."""
        self._ended = ended
        self._crowding = crowding(limits, account)
        self._pace = pace(limits, account, self.gate)
        self._mind_crowding()
        self._last_descriptor = last_usable_descriptor()
        self.now = asyncio.get_running_loop().time
        self._emptied = asyncio.Event()

    def arrive(self, connection: Connection) -> None:
        """Take in a newcomer, whose `sock` is set: begin it now, or later, or refuse it."""
        self.accepted = connection.id = self.accepted + 1
        connection.began = self.now()
        connection.tls, connection.why, connection.last = "", "", None
        if len(self.open) < self._roomy or self._has_place(connection):
            # As in `_let_in`, but without a call: it runs for each connection (decision 0005).
            self.open[connection.id] = connection
            connection.begin()
            if len(self.open) >= self._roomy or connection.sock.fileno() >= self._last_descriptor:
                self._mind_room(connection)

    def admits(self, connection: Connection, host: str, others: int | None = None) -> bool:
        """Whether a connection, which was nobody's so far, may be one of `host`.

        If not, `why` says so. `others` is how many there are beside it; without, it is open.
        """
        if others is None:
            others = len(self.open) + len(self.waiting) - 1
        if others < self._crowding.room:
            return True
        of = origin(host, self.limits)
        limit = self._crowding.admits(of, self._origins())
        self._mind_crowding()
        if limit:
            self.refused[limit] += 1
            connection.why = WHY[limit]
            return False
        connection.origin = of
        return True

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
        if not self._crowding.room:
            self._release(connection)
        self._ended(connection, error)
        if not self.open:
            self._emptied.set()
        if self.draining is not None:
            self.draining(connection)
        elif self.gate.reasons:
            self.gate.lift("connections", "descriptors")

    def end_vanished(self, connection: Connection) -> None:
        """Let go of a connection that ended under a protocol that took over from its own."""
        connection.why = connection.why or "closed by a protocol that took over"
        connection.lost()
        self.end(connection, None)

    def turn_away(self) -> None:
        """Drop those that wait for room, for good; none of their bytes was served."""
        if self._pace is not None:
            self._pace.stop()
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
        if others >= self._crowding.room and not self.admits(connection, connection.host, others):
            connection.lost()
            self._ended(connection, None)
            connection.cut()
            return False
        if self.gate.reasons:
            self.waiting.append((connection, WaitingRoom(connection.transport)))
            return False
        if self._pace is not None:
            self._pace.let_in()
        return True

    def _mind_room(self, newest: Connection) -> None:
        # The last that has room, or one that took one of the last descriptors.
        full = len(self.open) >= self.limits.connections
        if full or newest.sock.fileno() >= self._last_descriptor:
            self.gate.shut("connections" if full else "descriptors")

    def _let_in(self) -> None:
        """Open those that wait, as far as they may be."""
        while self.waiting and not self.gate.reasons:
            connection, room = self.waiting.popleft()
            if self._pace is not None:
                self._pace.let_in()
            room.transport.set_protocol(cast(asyncio.BaseProtocol, connection))
            self.open[connection.id] = connection
            connection.begin()
            self._mind_room(connection)
            room.leave(connection)

    def _origins(self) -> Iterator[bytes]:
        """Of all connections: for whom each is counted from now on."""
        for connection in (*self.open.values(), *(each for each, _ in self.waiting)):
            connection.origin = origin(connection.host, self.limits)
            yield connection.origin

    def _release(self, connection: Connection) -> None:
        self._crowding.release(connection.origin, len(self.open) + len(self.waiting))
        self._mind_crowding()

    def _mind_crowding(self) -> None:
        # With fewer open than this, nothing can refuse a newcomer or has to count it.
        self._roomy = min(self.limits.connections, self._crowding.room) if not self._pace else 0


def crowding(limits: Limits, account: Account | None) -> Crowding:
    """What counts the connections of each address, here or in all workers."""
    if account is None:
        return ExactCrowding(groups(limits))
    return SharedCrowding(groups(limits), account)


def pace(limits: Limits, account: Account | None, gate: Gate) -> Pace | None:
    """What holds newcomers to their rate: this worker's share of it."""
    if not 0 < limits.rate < inf:
        return None
    return Pace(lambda: limits.rate / (1 if account is None else account.workers), gate)
