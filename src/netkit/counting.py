"""Links that count for themselves what the kernel does not: on Unix sockets and other systems.

That costs a Python call per read, so the links of TCP on Linux do without it.
What the server sends cannot be seen from here, and stays unknown.
"""

# mypy: disable-error-code="method-assign"
# As in `links`: methods that are slots.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netkit.connections import Connection
from netkit.kernel import Traffic
from netkit.links import BufferedLink, ProtocolLink, StreamLink


class Counting(Connection):
    """Counts what is received; mixed into a link, before it."""

    received = 0
    """Bytes."""
    heard: float | None = None
    """`loop.time()` at the last of them."""
    peer_closed = False

    def count(self, size: int) -> None:
        """Hear of one read."""
        self.received += size
        self.heard = self.connections.now()

    def traffic(self) -> Traffic:
        """See `Connection`."""
        since = self.began if self.heard is None else self.heard
        quiet = self.connections.now() - since
        return Traffic(self.received, None, quiet, None, self.peer_closed)

    def lost(self) -> None:
        """See `Connection`."""
        super().lost()
        self.last = self.traffic()


class CountingProtocolLink(Counting, ProtocolLink):
    """Counts before it calls the author's protocol."""

    def begin(self) -> None:
        """See `Connection`."""
        super().begin()
        speaking: Any = self.transport.get_protocol()
        if isinstance(speaking, BufferedLink):
            speaking.buffer_updated = self._counting(speaking.buffer_updated, int)
        elif speaking is self:
            self.data_received = self._counting(self.data_received, len)
        self.transport.set_protocol(speaking)

    def eof_received(self) -> bool | None:
        """See `asyncio.Protocol`."""
        self.peer_closed = True
        return super().eof_received()

    def _counting(self, call: Callable[[Any], None], size: Callable[[Any], int]) -> Any:
        def counted(data: Any) -> None:
            self.count(size(data))
            call(data)

        return counted


class CountingStreamLink(Counting, StreamLink):
    """Counts before it feeds the reader."""

    def __init__(self) -> None:
        super().__init__()
        del self.data_received  # the slot, so that the loop finds the method

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self.count(len(data))
        self.reader.feed_data(data)

    def eof_received(self) -> bool:
        """See `asyncio.Protocol`."""
        self.peer_closed = True
        return super().eof_received()
