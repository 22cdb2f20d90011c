"""What the loop calls for a connection whose handler has a reader and a writer."""

# mypy: disable-error-code="method-assign"
# A method that is a slot, as in `netkit.links`.

from __future__ import annotations

import asyncio
from typing import Any

from netkit.streams.reader import Reader


class StreamProtocol(asyncio.Protocol):
    """Feeds a `Reader`, and lets a `Writer` wait while the write buffer is too full.

    Without a Python call of its own for what arrives: ``data_received`` is a slot that holds
    the reader's ``feed_data``. What an `asyncio.StreamWriter` asks of its protocol has the
    names that it has in `asyncio.StreamReaderProtocol`.
    """

    loop: asyncio.AbstractEventLoop
    """Set by the subclass."""
    transport: asyncio.Transport
    _resumed: list[asyncio.Future[None]] | None = None
    """Those who wait in ``drain()``."""
    _closed: asyncio.Future[None] | None = None
    """Of those who wait in ``wait_closed()``."""

    def __init__(self, limit: int) -> None:
        self.reader = Reader(limit, self.loop)
        self.data_received = self.reader.feed_data
        self.is_full = False
        """Whether more should not be written for now."""
        self.is_lost = False
        self.error: Exception | None = None
        """What ended the connection, if it was not ended in order."""

    def turned(self, transport: asyncio.Transport) -> None:
        """Hear that the writer has turned to TLS: that is the transport from now on."""
        self.transport = transport
        self.reader.set_transport(transport)

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self.is_full = True

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self.is_full = False
        self._resume(None)

    def eof_received(self) -> bool:
        """See `asyncio.Protocol`; the handler may go on writing where the transport can do that.

        `asyncio.StreamReaderProtocol` takes it that no TLS transport can.
        """
        self.reader.feed_eof()
        return self.transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self.is_lost, self.error = True, exc
        if exc is None:
            self.reader.feed_eof()
        else:
            self.reader.set_exception(exc)
        self._resume(exc)
        if self._closed is not None:
            _settle(self._closed, exc)

    async def _drain_helper(self) -> None:
        if self.is_lost:
            raise ConnectionResetError("Connection lost")
        if not self.is_full:
            return
        waiting = self.loop.create_future()
        if self._resumed is None:
            self._resumed = []
        self._resumed.append(waiting)
        await waiting

    def _get_close_waiter(self, _: Any) -> asyncio.Future[None]:
        if self._closed is None:
            self._closed = self.loop.create_future()
            if self.is_lost:
                _settle(self._closed, self.error)
        return self._closed

    def _resume(self, error: Exception | None) -> None:
        waiting, self._resumed = self._resumed or (), None
        for each in waiting:
            _settle(each, error)


def _settle(future: asyncio.Future[None], error: Exception | None) -> None:
    if future.done():  # whoever waits was cancelled
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
        future.exception()  # nobody has to ask for it
