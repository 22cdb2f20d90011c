"""Many datagrams in one system call, to send (UDP_SEGMENT; udp(7)).

A *run* is one buffer that holds datagrams of the same size, one behind the other; the last
may be shorter. Linux cuts a run that is sent into datagrams, since 4.18, as late as it can. A
call costs about as much as one datagram does. The transports of asyncio and uvloop pass a
buffer on as it is, so this is done through them.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import socket
from typing import cast

from netkit.feeds.resolving import Where

UDP_SEGMENT = 103
_VERSION = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2]))
SEGMENTS = 64 if _VERSION < (6, 9) else 128
"""Datagrams in one call: the kernel's UDP_MAX_SEGMENTS, which can't be asked for."""
LONGEST = 65_400
"""Bytes in one call. 65,507 fit into IPv4's length, but a run that does not leave room for
all headers within 65,536 is cut before it reaches a veth or loopback, so that it arrives cut."""

_REFUSALS = frozenset({errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.EOPNOTSUPP})

Run = bytes | bytearray | memoryview


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
