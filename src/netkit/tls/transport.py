"""netkit's TLS transport: OpenSSL on the socket itself, the same on both loops.

The loops' own TLS runs in memory, between the socket's transport and the author's
protocol: each record is copied in and out of two buffers, which stay as large as they
ever were (asyncio's reader holds 256 KiB for each connection, CPython issue 109534), and
the two directions of a stream end together. Here OpenSSL reads and writes the
non-blocking socket itself, when the loop says that it can. A record costs about a third of
what it does in asyncio and half of what it does in uvloop, an idle connection has no
buffer at all, and close_notify ends one direction alone.

To protocols it is an `asyncio.Transport` like any other, whose ``write_eof()`` works.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from asyncio.trsock import TransportSocket
from typing import Any, cast

from netkit.loops import is_uvloop
from netkit.tls.closing import close_notify

RECORD = 16_384
"""Bytes of plain text in one TLS record at most (RFC 8446 section 5.1)."""

BURST = 8
"""Records read in one turn of the loop, so that other connections get theirs."""

SHUTDOWN_TIMEOUT = 5.0
"""Seconds to wait for a peer's end after ours (asyncio's default is 30)."""

_HIGH = 65_536  # bytes, as asyncio's transports have it
_NOBODY = asyncio.Protocol()
_Raw = socket.socket  # SSLSocket overrides its methods; here they are called past OpenSSL


class TLSTransport(asyncio.Transport):
    """A connection whose handshake is done. It owns the socket from now on, and closes it.

    `extra` is for `get_extra_info`, besides what is asked of the socket; `watched`: the loop
    looks for something to read, but for nobody (`shaking.Shaking`). It reads from `begin` on.
    The peer's close_notify, or its end without one, is ``eof_received()``; a True from that
    keeps our direction open after the first of them. After the second the transport closes,
    and `truncated` is set: the peer may have been cut off.
    """

    __slots__ = (
        "_buffer", "_closing", "_deadline", "_descriptor", "_get_buffer", "_heard_end", "_high",
        "_leaving", "_loop", "_low", "_over", "_paused", "_protocol", "_reading", "_received",
        "_said_end", "_sock", "_stopped", "_tail", "_told_once",
        "_unwatched", "_writing", "truncated",
    )  # fmt: skip
    _extra: dict[str, Any]

    def __init__(
        self, sock: ssl.SSLSocket, extra: dict[str, Any], *, watched: bool = False
    ) -> None:
        super().__init__({"cipher": sock.cipher(), "peercert": sock.getpeercert(), **extra})
        self._sock = sock
        self._descriptor = sock.fileno()
        self._loop = asyncio.get_running_loop()
        self._told_once = is_uvloop(self._loop)
        """Whether the loop tells of a reset once and then watches the socket no more."""
        self._buffer = bytearray()
        """What waits for room to be sent, not encrypted yet."""
        self._tail = b""
        """The rest of our close_notify, encrypted."""
        self._reading = watched
        """Whether the loop tells that there is something to read: us, from `begin` on."""
        self._writing = False
        """Whether it tells us that there is room to send."""
        self._paused = False
        self._stopped = False
        """Whether the protocol was told to write no more for a while."""
        self._unwatched = False
        """Whether the loop tells no more, since the peer has reset."""
        self._heard_end = self._said_end = False
        self._leaving = False
        """Whether `write_eof` was called."""
        self._closing = self._over = False
        self._deadline: asyncio.TimerHandle | None = None
        self._high, self._low = _HIGH, _HIGH // 4
        self.truncated = False
        """Whether the peer ended its side without close_notify."""
        self._protocol: Any = _NOBODY

    def begin(self) -> None:
        """Read from now on, unless it was paused."""
        if self._paused or self._closing:
            self._read_no_more()
            return
        self._look_for_more()
        # Not SO_ERROR: the handshake's last write may have met it, and OpenSSL says nothing
        # where that is a session ticket's.
        if self._told_once and self._has_reset():
            self._read_the_rest()

    # What asyncio's transports have.

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """See `asyncio.BaseTransport`."""
        if name in self._extra:
            return self._extra[name]
        match name:
            case "socket":
                return TransportSocket(self._sock)
            case "ssl_object":
                return self._sock
            case "sslcontext":
                return self._sock.context
            case "compression":
                return self._sock.compression()
            case "truncated":
                return self.truncated
            case "sockname":
                return self._sock.getsockname()
        return default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """See `asyncio.BaseTransport`."""
        buffered = isinstance(protocol, asyncio.BufferedProtocol)
        self._protocol = spoken = cast("Any", protocol)
        self._get_buffer: Any = spoken.get_buffer if buffered else None
        self._received = spoken.buffer_updated if buffered else spoken.data_received

    def get_protocol(self) -> asyncio.BaseProtocol:
        """See `asyncio.BaseTransport`."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def is_reading(self) -> bool:
        """See `asyncio.ReadTransport`."""
        return not (self._paused or self._closing)

    def pause_reading(self) -> None:
        """See `asyncio.ReadTransport`."""
        self._paused = True
        self._read_no_more()

    def resume_reading(self) -> None:
        """See `asyncio.ReadTransport`."""
        self._paused = False
        if not (self._closing or self._heard_end):
            self._read_on()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """See `asyncio.WriteTransport`."""
        if high is None:
            high = _HIGH if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._high, self._low = high, low
        self._mind_pressure()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """See `asyncio.WriteTransport`."""
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        """See `asyncio.WriteTransport`."""
        return len(self._buffer)

    def can_write_eof(self) -> bool:
        """True, other than with the loops' own TLS."""
        return True

    def is_closing(self) -> bool:
        """See `asyncio.BaseTransport`."""
        return self._closing

    # Reading.

    def _read_on(self) -> None:
        if not self._reading:
            self._look_for_more()
            self._mind_pending()

    def _look_for_more(self) -> None:
        self._reading = True
        # Not kept as an attribute: it would hold us, and only the collector would free us.
        call = self._on_readable_perhaps_last if self._told_once else self._on_readable
        self._loop.add_reader(self._descriptor, call)

    def _read_no_more(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._descriptor)

    def _mind_pending(self) -> None:
        """Go on with a record that was read in part: it is in OpenSSL, and wakes no loop."""
        if self._sock.pending():
            self._loop.call_soon(self._go_on_reading)

    def _go_on_reading(self) -> None:
        if self._reading:
            self._on_readable()

    def _on_readable_perhaps_last(self) -> None:
        """Read, where uvloop tells of a reset once and then watches the socket no more.

        libuv's ``uv__poll_io()`` stops at EPOLLERR, asyncio's selectors tell again. What had
        come before the reset is read first, so the error itself is yet to be met.
        """
        self._on_readable()
        if self._reading and self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._read_the_rest()

    def _read_the_rest(self) -> None:
        self._unwatched = True
        while self._reading:
            self._on_readable()

    def _on_readable(self) -> None:
        if self._get_buffer is not None:
            self._fill()
            return
        received = self._received
        for _ in range(BURST):
            try:
                data = self._sock.read(RECORD)
            except OSError as error:
                self._cannot_read(error)
                return
            if not data:
                self._hear_end()
                return
            try:
                received(data)
            except Exception as error:  # an author's code may raise anything
                self._fail(error, "data_received")
                return
            # OpenSSL reads a record at a time: after one that was not full there may be
            # another, but the loop tells of it more cheaply than a call that finds none.
            if len(data) < RECORD or not self._reading or received is not self._received:
                return

    def _fill(self) -> None:
        """Read into an `asyncio.BufferedProtocol`'s buffers."""
        received = self._received
        for _ in range(BURST):
            try:
                buffer = self._get_buffer(-1)
                room = len(buffer)
                if not room:
                    raise RuntimeError("get_buffer() returned an empty buffer")
            except Exception as error:  # an author's code may raise anything
                self._fail(error, "get_buffer")
                return
            try:
                size = cast("int", self._sock.read(room, buffer))
            except OSError as error:
                self._cannot_read(error)
                return
            if not size:
                self._hear_end()
                return
            try:
                received(size)
            except Exception as error:  # as above
                self._fail(error, "buffer_updated")
                return
            if size < min(room, RECORD) or not self._reading or received is not self._received:
                break
        if self._reading:
            self._mind_pending()

    def _cannot_read(self, error: OSError) -> None:
        match error:
            case ssl.SSLWantReadError() if not self._unwatched:
                return
            case ssl.SSLWantWriteError():  # the answer to a KeyUpdate has no room yet
                self._wait_for_room()
            case ssl.SSLZeroReturnError():  # a close_notify after ours
                self._hear_end()
            case ssl.SSLEOFError():
                self._hear_cut()
            case _:
                self._drop(error)

    def _hear_cut(self) -> None:
        """Hear of an end without close_notify; CPython may tell of a reset in the same way."""
        if self._has_reset():
            self._drop(ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)))
        else:
            self.truncated = True
            self._hear_end()

    def _has_reset(self) -> bool:
        try:
            _Raw.getpeername(self._sock)
        except OSError:
            return True
        return False

    def _hear_end(self) -> None:
        self._heard_end = True
        self._read_no_more()
        try:
            stay_open = self._protocol.eof_received()
        except Exception as error:  # an author's code may raise anything
            self._fail(error, "eof_received")
            return
        # To OpenSSL an end without close_notify is the end of both directions.
        if self.truncated or not stay_open:
            self.close()

    # Writing.

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """See `asyncio.WriteTransport`."""
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"data: expecting a bytes-like object, got {type(data).__name__}")
        if self._leaving:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing or not data:
            return
        if self._buffer:
            self._buffer += data
            self._mind_pressure()
            return
        try:
            sent = self._sock.send(data)
        except OSError as error:
            if self._cannot_write(error):
                return
            sent = 0
        if sent != len(data):
            self._write_rest(memoryview(data).cast("B")[sent:])

    def writelines(self, list_of_data: Any) -> None:
        """See `asyncio.WriteTransport`."""
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        """End what we send, by close_notify, once all before it is sent; reading goes on."""
        if not (self._leaving or self._closing):
            self._leaving = True
            if not self._buffer:
                self._say_end()

    def _write_rest(self, rest: memoryview[Any]) -> None:
        """Send what is longer than a record, as far as there is room; keep what is left."""
        sent = 0
        try:
            for _ in range(BURST):
                sent += self._sock.send(rest[sent:])
                if sent == len(rest):
                    return
        except OSError as error:
            if self._cannot_write(error):
                return
        # OpenSSL may hold a record that begins with this, and wants to see it again.
        self._buffer += rest[sent:]
        self._wait_for_room()
        self._mind_pressure()

    def _cannot_write(self, error: OSError) -> bool:
        """Whether that is the end; if not, there is no room yet."""
        if isinstance(error, ssl.SSLWantWriteError):
            return False
        self._drop(error)
        return True

    def _wait_for_room(self) -> None:
        if not self._writing:
            self._writing = True
            self._loop.add_writer(self._descriptor, self._on_writable)

    def _wait_for_room_no_more(self) -> None:
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._descriptor)

    def _on_writable(self) -> None:
        buffer = self._buffer
        try:
            for _ in range(BURST):
                if not buffer:
                    break
                del buffer[: self._sock.send(buffer)]
        except OSError as error:
            if self._cannot_write(error):
                return
        if not buffer:
            self._wait_for_room_no_more()
            self._go_on_reading()  # if that had to wait for room
        self._mind_pressure()
        if not self._buffer:
            self._after_all_is_sent()

    def _after_all_is_sent(self) -> None:
        if self._tail:
            self._send_tail()
        elif self._closing and not self._over:
            self._say_goodbye()
        elif self._leaving and not self._said_end:
            self._say_end()

    def _mind_pressure(self) -> None:
        size = len(self._buffer)
        if size > self._high and not self._stopped:
            self._stopped, call = True, self._protocol.pause_writing
        elif size <= self._low and self._stopped:
            self._stopped, call = False, self._protocol.resume_writing
        else:
            return
        try:
            call()
        except Exception as error:  # an author's code may raise anything
            self._report(error, call.__name__)

    # The end.

    def close(self) -> None:
        """Send what was written, then close_notify; read no more.

        Waits for the peer's end at most `SHUTDOWN_TIMEOUT` seconds: a socket that is closed
        with something unread in it resets, and what was sent is lost (RFC 2525 section 2.17).
        """
        if not self._closing:
            self._closing = True
            self._read_no_more()
            if not self._buffer:
                self._after_all_is_sent()

    def abort(self) -> None:
        """See `asyncio.WriteTransport`; without close_notify, so that the peer knows."""
        self._drop(None)

    def _say_end(self) -> None:
        self._said_end = True
        try:
            self._tail = close_notify(self._sock)
        except OSError as error:
            self._drop(error)
            return
        self._send_tail()

    def _send_tail(self) -> None:
        try:
            sent = _Raw.send(self._sock, self._tail)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._drop(error)
            return
        self._tail = self._tail[sent:]
        if self._tail:
            self._wait_for_room()
        elif self._closing:
            self._say_goodbye()

    def _say_goodbye(self) -> None:
        if not self._said_end:
            try:
                self._sock.unwrap()
            except ssl.SSLWantWriteError:
                self._wait_for_room()
                return
            except OSError:
                pass  # it is sent, and the peer's has not come; or the connection is gone
            self._said_end = True
        if self._heard_end:
            self._drop(None)
            return
        try:
            _Raw.shutdown(self._sock, socket.SHUT_WR)
        except OSError:
            self._drop(None)
            return
        self._deadline = self._loop.call_later(SHUTDOWN_TIMEOUT, self._drop, None)
        self._loop.add_reader(self._descriptor, self._discard)
        self._reading = True

    def _discard(self) -> None:
        try:
            ended = not _Raw.recv(self._sock, 65_536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            ended = True
        if ended:
            self._drop(None)

    def _fail(self, error: Exception, method: str) -> None:
        self._report(error, method)
        self._drop(error)

    def _report(self, error: Exception, method: str) -> None:
        self._loop.call_exception_handler({
            "message": f"protocol.{method}() failed",
            "exception": error,
            "transport": self,
            "protocol": self._protocol,
        })  # fmt: skip

    def _drop(self, error: Exception | None) -> None:
        """End now, whatever was not sent."""
        if self._over:
            return
        self._closing = self._over = True
        self._buffer.clear()
        self._read_no_more()
        self._wait_for_room_no_more()
        if self._deadline is not None:
            self._deadline.cancel()
        self._loop.call_soon(self._lose, error)

    _force_close = _drop  # by this name the loops' own know it

    def _lose(self, error: Exception | None) -> None:
        try:
            self._protocol.connection_lost(error)
        finally:
            self._sock.close()
            self.set_protocol(_NOBODY)  # it holds us, and we would hold it
