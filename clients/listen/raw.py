"""Feeds without a header: payloads alone, of which nobody can say what was lost."""

from __future__ import annotations

import asyncio
import time

from netkit.clients.listen.events import Address
from netkit.clients.listen.hearing import Deliver, Send
from netkit.clients.listen.message import Message
from netkit.clients.listen.statistics import Rate
from netkit.peernames import written


class RawHearing:
    """Takes every datagram for a message. Nothing is delivered any more after `close`."""

    def __init__(self, deliver: Deliver | None = None) -> None:
        self.ended = asyncio.Event()
        """Never set: without headers a feed has no end."""
        self.delivered = self.bytes = 0
        self.rate = Rate()
        self._deliver = deliver
        self._loop = asyncio.get_running_loop()

    def hear(self, datagram: bytes, source: Address, send: Send) -> None:
        """Hear of one."""
        self._count(1, len(datagram))
        if self._deliver:
            self._deliver([Message(datagram, written(source), time.time_ns())])

    def hear_run(self, view: memoryview, size: int, source: Address, send: Send) -> None:
        """Hear of many of `size` bytes in one buffer, the last perhaps shorter."""
        starts = range(0, len(view), size) if size else (0,)
        self._count(len(starts), len(view))
        if self._deliver:
            where, now = written(source), time.time_ns()
            self._deliver([Message(bytes(view[at : at + size]), where, now) for at in starts])

    def close(self) -> None:
        """Deliver nothing more."""
        self._deliver = None

    def _count(self, count: int, size: int) -> None:
        self.delivered += count
        self.bytes += size
        self.rate.add(count, size, self._loop.time())
