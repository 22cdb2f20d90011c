"""Once a second: what no event tells of. Silence, unread output, ends that nobody saw."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from netkit.connections import Connection, Connections

PERIOD = 1.0
"""Seconds between two looks at every connection; a look costs well under a microsecond each."""


class Sweep:
    """Holds connections to the limits that only time shows; then calls all of `also`."""

    def __init__(self, connections: Connections, also: Iterable[Callable[[], None]]) -> None:
        self._connections = connections
        self._also = list(also)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look once a period, until `stop`."""
        self._timer = self._loop.call_later(PERIOD, self._sweep)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        self.start()
        now = self._loop.time()
        for connection in list(self._connections.open.values()):
            self._look(connection, now)
        for each in self._also:
            each()

    def _look(self, connection: Connection, now: float) -> None:
        limits = self._connections.limits
        if connection.vanished():
            self._connections.end_vanished(connection)
        elif limits.write_buffer and (connection.unsent() > limits.write_buffer):
            connection.why = (
                f"more than {limits.write_buffer} bytes unread by the peer (--limit-write-buffer)"
            )
            connection.cut()
        elif limits.lifetime and now - connection.began >= limits.lifetime:
            connection.why = f"older than {limits.lifetime:g} s (--limit-lifetime)"
            connection.cut()
        elif limits.idle and now - connection.began >= limits.idle and now >= connection.idle_at:
            self._idle(connection, now)

    def _idle(self, connection: Connection, now: float) -> None:
        traffic = connection.traffic()
        if traffic is None:
            return  # lost meanwhile, or the kernel is too old to count
        limit = self._connections.limits.idle
        if traffic.quiet >= limit:
            connection.why = f"idle for {limit:g} s (--limit-idle)"
            connection.cut()
        else:
            connection.idle_at = now + limit - traffic.quiet
