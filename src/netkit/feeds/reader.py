"""Datagrams read as fast as they come, in runs: one behind the other in one buffer.

Stands beside the protocols: a transport reads one datagram, makes `bytes` and calls
`datagram_received`, and between two of these a flood overruns the socket's buffer.

Linux hands a run that it has received whole to a reader who asked for such (UDP_GRO, since
5.0; udp(7)). On loopback and veth a run arrives so if its sender sent it as a run; single
datagrams are joined by the receive path of real interfaces, and of veth where
``ethtool -K DEVICE gro on`` was said. What comes singly is read many at a time (`slots`).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from netkit.feeds.resolving import Where
from netkit.feeds.slots import Slots

UDP_GRO = 104
READS = 64
"""Datagrams, or runs of them, for one readiness event, roughly; then it is others' turn."""

OnRun = Callable[[memoryview, int, Where], None]


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
        self._slots = Slots(sock, runs=self.offload)
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
        slots, read = self._slots, 0
        while self._open and read < READS:
            room = slots.room
            try:
                count = slots.receive()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._on_error(error)
                return
            for run, size, source in slots.runs(count):
                self._on_run(run, size, source)
                if not self._open:
                    return
            if count < room:  # nothing more was there
                return
            read += count


def _receives_runs(sock: socket.socket) -> bool:
    try:
        sock.setsockopt(socket.SOL_UDP, UDP_GRO, 1)
    except OSError:  # ENOPROTOOPT: the kernel does not know it
        return False
    return True
