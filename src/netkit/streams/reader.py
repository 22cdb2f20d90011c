"""asyncio's StreamReader on pieces that are not copied."""

from __future__ import annotations

import asyncio
from asyncio import IncompleteReadError, LimitOverrunError
from typing import Any

from netkit.streams.unread import Unread


class Reader(asyncio.StreamReader):
    """An `asyncio.StreamReader` to its callers: the same methods, results and exceptions.

    With three exceptions: a separator may be one of several on each Python (asyncio: from 3.13
    on); ``read()`` never returns b"" before the end because somebody else was faster; and of
    much that has come in large pieces it gives the first alone.

    What comes at once, or within one piece, is read without a second coroutine.
    """

    # The base's __init__ would make its bytearray. It declares none of its attributes.
    def __init__(self, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        self._limit = limit
        self._loop = loop
        self._transport: Any = None
        self._unread = Unread()
        self._eof = False
        self._exception: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False

    def __repr__(self) -> str:
        state = [f"{len(self._unread)} bytes"]
        state += ["eof"] * self._eof + ["paused"] * self._paused
        if self._exception is not None:
            state.append(f"exception={self._exception!r}")
        return f"<Reader {', '.join(state)}>"

    # What the protocol calls.

    def set_transport(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport that is paused while too much is unread; another after start_tls."""
        self._transport = transport

    def feed_data(self, data: Any) -> None:
        """Take what has arrived, a bytes-like object. More than twice the limit pauses reading."""
        assert not self._eof, "feed_data after feed_eof"
        if not data:
            return
        size = self._unread.add(data if type(data) is bytes else bytes(data))
        waiter = self._waiter
        if waiter is not None:  # as `_woken`, in the frame that runs for each message
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)
        if size > 2 * self._limit and not self._paused and self._transport is not None:
            self._pause()

    def feed_eof(self) -> None:
        """Hear that nothing more comes."""
        self._eof = True
        if waiter := self._woken():
            waiter.set_result(None)

    def set_exception(self, exc: Exception) -> None:
        """Have this raised by whoever reads, now and from now on."""
        self._exception = exc
        if waiter := self._woken():
            waiter.set_exception(exc)

    def surrender(self) -> bytes:
        """Take away all that is unread: at the end, or since it is another's to read."""
        return self._take(len(self._unread)) if self._unread else b""

    # What a handler calls.

    def exception(self) -> Exception | None:
        """What was set by `set_exception`."""
        return self._exception

    def at_eof(self) -> bool:
        """Whether all is read, and nothing more comes."""
        return self._eof and not self._unread

    async def read(self, n: int = -1) -> bytes:
        """Read what there is, at most `n` bytes, once there is something; -1: up to the end.

        b"" means the end.
        """
        if self._exception is not None:
            raise self._exception
        if n <= 0:
            return await self._read_to_the_end() if n else b""
        unread = self._unread
        while not (unread.front or unread):
            if self._eof:
                return b""
            await self._arrival("read")
        taken = unread.take_some(n)
        if self._paused:
            self._relieve()
        return taken

    async def _read_to_the_end(self) -> bytes:
        blocks = []
        while block := await self.read(self._limit):
            blocks.append(block)
        return b"".join(blocks)

    async def readexactly(self, n: int) -> bytes:
        """Read `n` bytes. Raises `IncompleteReadError` with what there was before the end."""
        if n < 0:
            raise ValueError("readexactly size can not be less than zero")
        if self._exception is not None:
            raise self._exception
        unread = self._unread
        while len(unread.front) - unread.start < n and len(unread) < n:
            if self._eof:
                raise IncompleteReadError(self.surrender(), n)
            await self._arrival("readexactly")
        return self._take(n) if n else b""

    async def readline(self) -> bytes:
        r"""Read up to and with the next "\n"; at the end what there is, and then b"".

        Raises ValueError if it is longer than the limit. What is dropped then is the line, or,
        if its end has not come, all that is there.
        """
        if self._exception is not None:
            raise self._exception
        unread = self._unread
        while not (unread.front or unread or self._eof):
            await self._arrival("readline")
        size = unread.front.find(b"\n", unread.start) + 1 - unread.start
        if 0 < size <= self._limit and not self._paused:
            return unread.take(size)
        try:
            return await self.readuntil()
        except IncompleteReadError as end:
            return end.partial
        except LimitOverrunError as error:
            self._drop_line(error.consumed)
            raise ValueError(error.args[0]) from error

    async def readuntil(self, separator: Any = b"\n") -> bytes:
        """Read up to and with the separator, bytes, or the first of several in a tuple.

        Raises `LimitOverrunError` if there are more bytes before it than the limit, which stay
        unread, and `IncompleteReadError` with what there was before the end.
        """
        separators = separator if isinstance(separator, tuple) else (separator,)
        if not separators:
            raise ValueError("Separator should contain at least one element")
        if not all(separators):
            raise ValueError("Separator should be at least one-byte string")
        if self._exception is not None:
            raise self._exception
        longest = max(map(len, separators))
        seen = 0  # unread bytes in which no separator begins
        while True:
            begin, end = self._unread.find(separators, seen)
            if end:
                break
            seen = max(0, len(self._unread) + 1 - longest)
            if seen > self._limit:
                raise LimitOverrunError("Separator is not found, and chunk exceed the limit", seen)
            if self._eof:
                raise IncompleteReadError(self.surrender(), None)
            await self._arrival("readuntil")
        if begin > self._limit:
            raise LimitOverrunError("Separator is found, but chunk is longer than limit", begin)
        return self._take(end)

    def _drop_line(self, size: int) -> None:
        r"""Drop a line of that many bytes and its "\n", or all there is if that is not its end."""
        _, end = self._unread.find((b"\n",), 0)
        self._take(end if end == size + 1 else len(self._unread))

    # Waiting, and holding the peer back.

    def _arrival(self, reading: str) -> asyncio.Future[None]:
        """Return what is done once something has arrived."""
        if self._waiter is not None and not self._waiter.done():
            raise RuntimeError(
                f"{reading}() called while another coroutine is already waiting for incoming data"
            )
        if self._paused:  # it would wait for ever for more than was allowed so far
            self._resume()
        self._waiter = waiter = self._loop.create_future()
        return waiter

    def _woken(self) -> asyncio.Future[None] | None:
        """Take away what a reader waits for; None if nobody waits any more."""
        waiter, self._waiter = self._waiter, None
        return None if waiter is None or waiter.done() else waiter

    def _take(self, most: int) -> bytes:
        taken = self._unread.take(most)
        if self._paused:
            self._relieve()
        return taken

    def _relieve(self) -> None:
        if len(self._unread) <= self._limit:
            self._resume()

    def _pause(self) -> None:
        try:
            self._transport.pause_reading()
        except NotImplementedError:
            self._transport = None  # it cannot pause
        else:
            self._paused = True

    def _resume(self) -> None:
        self._paused = False
        if not self._eof:
            self._transport.resume_reading()
