"""The protocol that ties a session, a framing and an outbox to one transport."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

from netkit import describe
from netkit.servers.chat.framing import Framing
from netkit.servers.chat.lines import Ended, Entered, Output, Reply, Session, encode
from netkit.servers.chat.outbox import Fanout, Outbox

log = logging.getLogger(__name__)

# Seconds for a peer to take what was written before its connection was closed.
LINGER = 10.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one connection may take: bytes of a line, bytes that wait, seconds to a name."""

    line: int
    outbox: int
    login_timeout: float


@dataclass(eq=False)
class Connection(asyncio.Protocol):
    """One connection, from its greeting to its end.

    It holds one timer at a time: until the peer gives a name, then none, and after
    closing until the peer has taken what was written.
    """

    session: Session
    fanout: Fanout
    bounds: Bounds
    others: set[Connection]
    closing: bool = field(default=False, init=False)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, and start the wait for a name."""
        self.loop = asyncio.get_running_loop()
        self.transport = cast("asyncio.Transport", transport)
        self.framing = Framing(self.bounds.line)
        self.outbox = Outbox(self.transport, self.bounds.outbox, self._too_slow)
        self.timer = self.loop.call_later(self.bounds.login_timeout, self._nameless)
        self.others.add(self)
        describe(self.transport, self.session.described)
        self._carry_out(self.session.greet())

    def data_received(self, data: bytes) -> None:
        """Do what the lines in `data` ask."""
        if self.closing:
            return
        lines = self.framing.feed(data)
        if self.framing.answer:
            self.fanout.send(self.framing.answer, (self.outbox,))
            self.framing.answer = b""
        self._carry_out(self.session.receive(lines, self.loop.time()))

    def eof_received(self) -> None:
        """Take the end of input as /quit: TLS knows no half-open connection."""
        if not self.closing:
            self._carry_out(self.session.receive(self.framing.finish(), self.loop.time()))
            self.finish("connection closed")

    def pause_writing(self) -> None:
        """Gather what others say, and take no more from a peer that does not read."""
        self.outbox.paused = True
        if not self.closing:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Send what gathered, and take more again."""
        self.outbox.paused = False
        self.outbox.flush()
        if not self.closing and not self.outbox.paused:
            self.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """Leave, if nothing else has ended the talk before."""
        self.closing = True
        self.timer.cancel()
        self.others.discard(self)
        self._leave("connection lost" if error else "connection closed")
        self.outbox.discard()

    def finish(self, reason: str) -> None:
        """Leave the rooms, send what waits, and close; safe to call twice."""
        if self.closing:
            return
        self.closing = True
        self._leave(reason)
        self.outbox.finish()
        self.timer.cancel()
        self.timer = self.loop.call_later(LINGER, self.transport.abort)

    def abort(self, reason: str) -> None:
        """Leave the rooms and drop the connection with all that waits."""
        self.closing = True
        self._leave(reason)
        self.outbox.discard()
        self.transport.abort()

    def _carry_out(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            match output:
                case Reply(text):
                    self.fanout.send(encode(text), (self.outbox,))
                case Entered(member):
                    self.timer.cancel()
                    self.fanout.outboxes[member] = self.outbox
                case Ended():
                    self.finish("quit")
                case delivery:
                    self.fanout.post((delivery,))

    def _leave(self, reason: str) -> None:
        if self.session.member is not None:
            self.fanout.outboxes.pop(self.session.member, None)
        self.fanout.post(self.session.leave(reason))

    def _nameless(self) -> None:
        seconds = f"{self.bounds.login_timeout:g}"
        self._carry_out([Reply(f"! no name within {seconds} seconds: goodbye"), Ended()])

    def _too_slow(self) -> None:
        log.info("dropped %s: more than %d bytes waited", self.session.member, self.outbox.limit)
        self.abort("too slow")
