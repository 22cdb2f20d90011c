"""A relay: two ends, and what comes at one goes out at the other.

Rules:

1. Neither end is read faster than the other is written: what `pause_writing` says of one
   pauses reading at the other. So a relay holds no more than both write buffers.
2. The end of one direction is passed on as that (TCP's FIN, TLS's close_notify), and the
   other direction goes on. After the second both ends are closed.
3. An end that ended without close_notify may have been cut off by somebody on the way. What
   it had sent is delivered, the other end is then closed in order, and the log says it.
4. An end that breaks breaks the other: a plain one is reset, a secured one gets what had
   come and then ends without close_notify, so that its peer knows.

This is `asyncio.Protocol`: a chunk is one call of ``data_received``, which is one call of
``write`` at the other end. Its counterpart for the client (`Arrival`) has nobody on the other
side until an upstream was reached; nothing is read until then.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any

from netkit import conclude, describe
from netkit.servers.tls.upstreams import Upstream

LINGER = 10.0
"""Seconds for a peer that was given up to take what is left for it, and to end its side."""

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER at 0 seconds: close() sends a reset (socket(7))."""


def nothing(data: bytes) -> None:
    """Take the place of ``write`` where bytes have nowhere to go any more."""


class End(asyncio.Protocol):
    """One end of a relay."""

    whose: str
    """Who is there, in the log."""
    transport: asyncio.Transport
    write: Callable[[bytes], object]
    """The other end's."""
    other: End | None = None
    """None before there is one, and once they have parted."""
    ended = False
    """Whether nothing more comes here."""
    lost = False
    _doomed = False
    _timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        self.write(data)

    def eof_received(self) -> bool:
        """Pass it on (rules 2 and 3)."""
        self.ended = True
        other = self.other
        if other is None:
            self.ended_alone()
        elif getattr(self.transport, "truncated", False):
            self.say(f"{self.whose} ended without close_notify: it may have been cut off")
            other.dismiss()
        elif not other.ended:
            other.finish()
        else:
            self.part()
            other.transport.close()
            self.transport.close()
        return True

    def ended_alone(self) -> None:
        """Hear the end of a peer that was dismissed."""
        self.transport.close()

    def pause_writing(self) -> None:
        """Read no more at the other end (rule 1)."""
        if (other := self.other) is not None and not other.ended:
            other.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read on at the other end; or go, if this was the last that had to be sent."""
        if self._doomed:
            self.transport.abort()
        elif (other := self.other) is not None and not other.ended:
            other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Break what it was joined to (rule 4)."""
        self.lost = True
        if self._timer is not None:
            self._timer.cancel()
        if (other := self.other) is not None:
            self.broke(other, exc)
        self.write = nothing

    def broke(self, other: End, exc: Exception | None) -> None:
        """Hear that this end was lost before both directions were over."""
        other.cut()

    def finish(self) -> None:
        """Tell the peer that nothing more comes for it."""
        try:
            self.transport.write_eof()
        except OSError:  # asyncio calls shutdown(2) at once, and the peer has reset already
            self.transport.abort()

    def dismiss(self) -> None:
        """End in order: nothing more is passed on, and what the peer still sends is discarded.

        To close at once, with something unread, would reset (RFC 2525 section 2.17), and with
        it goes what the peer has not read yet.
        """
        self.part()
        if self.ended:
            self.transport.close()
            return
        self.finish()
        if not self.transport.is_closing():
            self._bound()
            self.transport.resume_reading()

    def cut(self) -> None:
        """Let the peer know that it has not got everything (rule 4)."""
        self.part()
        if self.transport.get_extra_info("ssl_object") is None:
            reset(self.transport)
        elif not self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self._doomed = True
            self._bound()
            self.transport.set_write_buffer_limits(0)

    def part(self) -> None:
        """Be joined no more."""
        if (other := self.other) is not None:
            other.other, other.write = None, nothing
        self.other, self.write = None, nothing

    def say(self, why: str) -> None:
        """Have it said at the end of the connection's line in the log."""
        raise NotImplementedError

    def _bound(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(LINGER, self.transport.abort)


class Arrival(End):
    """The client's end. `begin` is called once it is there, `over` when it is gone."""

    whose = "the client"
    connecting: asyncio.Task[None] | None = None
    """What looks for its upstream; cancelled if the client does not wait for that."""

    def __init__(self, begin: Callable[[Arrival], None], over: Callable[[End], None]) -> None:
        self._begin, self._over = begin, over
        self._early: list[bytes] = []
        self._refused = False
        # uvloop reads once after connection_made even if that has paused reading.
        self.write = self._early.append

    def connection_made(self, transport: Any) -> None:
        """Read nothing before there is somebody to read for."""
        # Any, as uvloop's transports have the methods of asyncio.Transport but not the base.
        self.transport = transport
        transport.pause_reading()
        self._begin(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `End`."""
        super().connection_lost(exc)
        if self.connecting is not None:
            self.connecting.cancel()
        self._over(self)

    def ended_alone(self) -> None:
        """Hear its end before it has an upstream: that may come yet."""
        if self._refused:
            super().ended_alone()

    def join(self, departure: Departure) -> None:
        """Go on with an upstream: what has come meanwhile goes there first."""
        self.other, departure.other = departure, self
        self.write, departure.write = departure.transport.write, self.transport.write
        describe(self.transport, f"to {departure.upstream.name}")
        for chunk in self._early:
            self.write(chunk)
        self._early.clear()
        if self.ended:
            departure.finish()
        else:
            self.transport.resume_reading()

    def refuse(self, why: str) -> None:
        """End in order, without an upstream."""
        self._refused = True
        self.say(why)
        self.dismiss()

    def dismiss(self) -> None:
        """See `End`."""
        self._refused = True
        super().dismiss()

    def say(self, why: str) -> None:
        """See `End`."""
        conclude(self.transport, why)


class Departure(End):
    """The upstream's end. `begin` is called once it is there, `over` when it is gone."""

    made = False
    """Whether it was ever connected."""

    def __init__(
        self,
        arrival: Arrival,
        upstream: Upstream,
        begin: Callable[[End], None],
        over: Callable[[End], None],
    ) -> None:
        self.arrival, self.upstream = arrival, upstream
        self.whose = f"upstream {upstream.name}"
        self._begin, self._over = begin, over
        self.write = nothing

    def connection_made(self, transport: Any) -> None:
        """Join the client, if that is still there."""
        self.transport = transport
        self.made = True
        self.upstream.connected += 1
        self._begin(self)
        if self.arrival.lost:
            transport.abort()
        else:
            self.arrival.join(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `End`."""
        super().connection_lost(exc)
        self.upstream.open -= 1
        self._over(self)

    def broke(self, other: End, exc: Exception | None) -> None:
        """See `End`. If it had ended before, the client has got everything."""
        if self.ended:
            other.dismiss()
            return
        self.say(f"{self.whose} was lost: {exc}" if exc else f"{self.whose} was cut")
        other.cut()

    def say(self, why: str) -> None:
        """See `End`."""
        if not self.arrival.lost:
            self.arrival.say(why)


def reset(transport: asyncio.Transport) -> None:
    """Abort, and have TCP tell the peer by a reset."""
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is not None and sock.family != socket.AF_UNIX and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    transport.abort()
