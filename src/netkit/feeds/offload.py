"""Many datagrams in one system call: runs of equal ones, sent and received whole (udp(7)).

A *run* is one buffer that holds datagrams of the same size, one behind the other; the last
may be shorter. Linux cuts a run that is sent into datagrams (UDP_SEGMENT, since 4.18) as
late as it can, and hands a run that it has received to a reader who asked for such (UDP_GRO,
since 5.0). Each call costs about as much as one datagram does.

`Bursts` sends through a transport of asyncio's or uvloop's, since both pass a buffer on as it
is. `Reader` stands beside the protocols: a transport reads one datagram, makes `bytes` and
calls `datagram_received`, and between two of these a flood overruns the socket's buffer.

On loopback and veth a run arrives whole if its sender sent it as a run; single
datagrams are joined into runs by the receive path of real interfaces, and of veth where
``ethtool -K DEVICE gro on`` was said. What comes singly is joined by `Reader` itself.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import socket
import struct
from collections.abc import Callable
from typing import cast

from netkit.feeds.resolving import Where

UDP_SEGMENT, UDP_GRO = 103, 104
_VERSION = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2]))
SEGMENTS = 64 if _VERSION < (6, 9) else 128
"""Datagrams in one call: the kernel's UDP_MAX_SEGMENTS, which can't be asked for."""
LONGEST = 65_400
"""Bytes in one call. 65,507 fit into IPv4's length, but a run that does not leave room for
all headers within 65,536 is cut before it reaches a veth or loopback, so that it arrives cut."""
READS = 64
"""System calls for one readiness event; then it is others' turn, and the loop comes back."""

_REFUSALS = frozenset({errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.EOPNOTSUPP})
_ROOM = 65_536  # no datagram and no run is longer
_BUFFER = 4 * _ROOM
_SIZE = struct.Struct("=i")
_ANCILLARY = socket.CMSG_SPACE(_SIZE.size) if hasattr(socket, "CMSG_SPACE") else 0

Run = bytes | bytearray | memoryview
OnRun = Callable[[memoryview, int, Where], None]


class Bursts:
    """Sends runs to one address through a datagram transport, up to `SEGMENTS` datagrams a call.

    Where the kernel or the interface refuses that (before Linux 4.18; a device without
    checksum offload, IPsec, a size above the path's MTU) they are sent one by one, and
    `refusal` says why. A refusal comes through the protocol, whose `error_received` must ask
    `refused` first. The transport pauses the protocol's writing as soon as anything
    waits in it; between `pause_writing` and `resume_writing` do not call `send`. It stays the
    caller's to close.
    """

    def __init__(self, transport: asyncio.DatagramTransport, where: Where) -> None:
        self.refusal: OSError | None = None
        """Why runs are sent one by one; None while they are not."""
        self._transport = transport
        self._where = where
        self._sock: socket.socket = transport.get_extra_info("socket")
        self._size = 0  # what UDP_SEGMENT is set to
        self._sending = self._failed = False
        # A datagram transport of either loop has these methods too, if not by its type.
        self._buffer = cast("asyncio.WriteTransport", transport)
        self._buffer.set_write_buffer_limits(high=0)

    def send(self, run: Run, size: int) -> None:
        """Send `run` as datagrams of `size` bytes, the last one as long as what is left.

        The run must stay as it is until the transport has nothing left to write. Raises
        `BlockingIOError` where it is called while the transport has, with another size.
        """
        view = memoryview(run)
        whole = max(1, min(SEGMENTS, LONGEST // size)) * size
        if whole > size and len(view) > size and self._cuts_at(size):
            while view:
                if not self._accepted(view[:whole]):
                    break
                view = view[whole:]
        if view:
            self._one_by_one(view, size)

    def refused(self, error: OSError) -> bool:
        """Whether this error is a refusal of a run, which is being sent again as datagrams.

        If the run had waited in the transport it cannot be: then it is lost, the answer
        is False, and the next ones go out one by one.
        """
        if error.errno not in _REFUSALS or not self._size:
            return False
        self.refusal = error
        self._failed = True
        return self._sending

    def _accepted(self, run: memoryview) -> bool:
        self._sending, self._failed = True, False
        try:
            self._transport.sendto(run, self._where)
        finally:
            self._sending = False
        return not self._failed

    def _one_by_one(self, run: memoryview, size: int) -> None:
        # What is longer than UDP_SEGMENT would be cut, and not at all sent if that is above
        # the path's MTU.
        if self._size and (self.refusal or min(size, len(run)) > self._size):
            self._cut_at(0)
        for at in range(0, len(run), size):
            self._transport.sendto(run[at : at + size], self._where)

    def _cuts_at(self, size: int) -> bool:
        if self.refusal is None and size != self._size:
            try:
                self._cut_at(size)
            except BlockingIOError:
                raise
            except OSError as error:  # ENOPROTOOPT: the kernel does not know it
                self.refusal = error
        return self.refusal is None

    def _cut_at(self, size: int) -> None:
        # The option holds when a run leaves the transport, not when it enters.
        if self._buffer.get_write_buffer_size():
            raise BlockingIOError("the transport still writes: wait for resume_writing")
        self._sock.setsockopt(socket.SOL_UDP, UDP_SEGMENT, size)
        self._size = size


class Reader:
    """Reads runs from a socket as soon as they are there, many for each readiness event.

    `on_run` gets a view of the run, the size of its datagrams and who sent it. The view is
    good until it returns: the buffer is used again. A datagram without a byte is a
    run of size 0. `on_error` gets what the socket reports, as `error_received` does. The
    socket must not block; `close` closes it.
    """

    def __init__(
        self,
        sock: socket.socket,
        on_run: OnRun,
        on_error: Callable[[OSError], None],
        *,
        offload: bool = True,
    ) -> None:
        self.sock = sock
        self.offload = offload and _receives_runs(sock)
        """Whether the kernel may hand over runs."""
        self._on_run, self._on_error = on_run, on_error
        self._view = memoryview(bytearray(_BUFFER))
        self._loop = asyncio.get_running_loop()
        self._open = True
        self._loop.add_reader(sock.fileno(), self._drain)

    def close(self) -> None:
        """Read no more, also from within `on_run`, and close the socket. May be called twice."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self.sock.fileno())
            self.sock.close()

    def _drain(self) -> None:
        """Read what is there, and join what came singly to runs of the same size and source."""
        start = end = size = 0
        source: Where = ("", 0)
        for _ in range(READS):
            if end > _BUFFER - _ROOM:
                self._hand_over(start, end, size, source)
                start = end = 0
            if not self._open:
                return
            try:
                length, cut, sender = self._read(self._view[end:])
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                self._on_error(error)
                break
            if cut != size or sender != source or (end - start) % (size or 1) or not length:
                self._hand_over(start, end, size, source)
                start, size, source = end, cut, sender
            end += length
            if not length:
                self._on_run(self._view[:0], 0, sender)
        self._hand_over(start, end, size, source)

    def _read(self, room: memoryview) -> tuple[int, int, Where]:
        """The length of a datagram or run, the size of its datagrams, and its source."""
        if not self.offload:
            length, sender = self.sock.recvfrom_into(room)
            return length, length, sender
        length, told, _, sender = self.sock.recvmsg_into([room], _ANCILLARY)
        return length, _SIZE.unpack(told[0][2])[0] if told else length, sender

    def _hand_over(self, start: int, end: int, size: int, source: Where) -> None:
        if end > start and self._open:
            self._on_run(self._view[start:end], size, source)


def _receives_runs(sock: socket.socket) -> bool:
    try:
        sock.setsockopt(socket.SOL_UDP, UDP_GRO, 1)
    except OSError:  # ENOPROTOOPT: the kernel does not know it
        return False
    return True
