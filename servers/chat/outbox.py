"""One bounded outbox for each listener, and the fan-out to many.

A line is encoded once and the same bytes object waits in every outbox. What one turn
of the loop brings for a listener leaves in one write: with 200 in a room that is many
times faster than a write for each line (``benchmarks/fanout.py``).

While a transport is paused its outbox gathers, up to the limit; beyond it the listener
is too slow. They are told apart at the end of the turn, never in the middle of a
fan-out, so no one else waits and no loop changes what it iterates over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from netkit.servers.chat.events import Delivery, Event
from netkit.servers.chat.rooms import Member


class Outbox:
    """What waits to be written to one transport: at most `limit` bytes and one line more.

    The transport may hold as much again. `too_slow` is called, once and from the
    loop, when more would have to wait.
    """

    __slots__ = ("_transport", "limit", "paused", "size", "too_slow", "waiting")

    def __init__(
        self, transport: asyncio.Transport, limit: int, too_slow: Callable[[], None]
    ) -> None:
        self._transport = transport
        self.limit = limit
        self.too_slow: Callable[[], None] | None = too_slow
        self.paused = False
        self.size = 0
        self.waiting: list[bytes] = []

    def flush(self) -> None:
        """Write what waits, unless the transport is paused."""
        if not self.paused:
            self._write()

    def finish(self) -> None:
        """Write what waits and close the transport once it is sent, paused or not."""
        self._write()
        self.too_slow = None
        self._transport.close()

    def discard(self) -> None:
        """Forget what waits: there is nobody to read it."""
        self.waiting.clear()
        self.size = 0
        self.too_slow = None

    def _write(self) -> None:
        if self.waiting:
            data = b"".join(self.waiting)
            self.waiting.clear()
            self.size = 0
            if not self._transport.is_closing():
                self._transport.write(data)


class Fanout:
    """Brings deliveries to the outboxes of this process's members."""

    def __init__(self, encode: Callable[[Event], bytes]) -> None:
        """`encode` writes an event as every member reads it."""
        self.outboxes: dict[Member, Outbox] = {}
        self.dropped = 0
        """Listeners who were too slow."""
        self._encode = encode
        self._ready: list[Outbox] = []
        self._slow: list[Outbox] = []
        self._flush: asyncio.Handle | None = None

    def post(self, deliveries: Iterable[Delivery]) -> None:
        """Deliver to the members who have an outbox here."""
        outboxes = self.outboxes
        for event, to in deliveries:
            self.send(
                self._encode(event), [outboxes[member] for member in to if member in outboxes]
            )

    def send(self, line: bytes, outboxes: Iterable[Outbox]) -> None:
        """Put one encoded line into outboxes; it is written when this turn of the loop ends."""
        size = len(line)
        ready = self._ready
        for outbox in outboxes:
            waiting = outbox.waiting
            if not waiting:
                ready.append(outbox)
            waiting.append(line)
            outbox.size += size
            if outbox.size > outbox.limit:
                self._overfull(outbox)
        if self._flush is None:
            self._flush = asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Drop who is too slow, and write to everybody else."""
        self._flush = None
        while self._slow:  # the news of one drop may be too much for another
            too_slow, self._slow = self._slow, []
            for outbox in too_slow:
                if outbox.too_slow is not None:
                    self.dropped += 1
                    outbox.too_slow()
        ready, self._ready = self._ready, []
        for outbox in ready:
            outbox.flush()

    def waiting(self) -> int:
        """Bytes that wait for members who are slow."""
        return sum(outbox.size for outbox in self.outboxes.values())

    def close(self) -> None:
        """Cancel the flush that is due, if one is."""
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None

    def _overfull(self, outbox: Outbox) -> None:
        # One turn may bring more than the limit to a listener who reads well.
        outbox.flush()
        if outbox.waiting:
            self._slow.append(outbox)
            outbox.waiting.clear()
            outbox.size = 0
