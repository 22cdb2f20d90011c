"""The end of a server's connections: none is lost that can be ended in order.

A connection that has fallen quiet sees the end of its input, as if the peer had
closed its side: every well-made handler answers what it has and returns. One on
which bytes still arrive is served until shortly before the grace period ends;
then it too sees the end of input. What the peer sends after that is not
answered, but the peer sees an orderly end of stream after the last answer.

A patient drain leaves the quiet ones alone until then: others accept in its
place, so nobody waits for it to end. A drain that is spread out ends them one
after the other, so that their clients do not all come back at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine

from netkit.connections import Connection, Connections
from netkit.kernel import unread
from netkit.lingering import Lingering
from netkit.plurals import counted
from netkit.service import Service

log = logging.getLogger("netkit.server")

QUIET = 0.25
"""Seconds without a byte after which a connection counts as quiet; above most round trips."""

LOOK = 0.05
"""Seconds between looks: the kernel counts silence, but has no event for it."""

LAST_CALL = 1.0
"""Seconds before the end at which all see the end of input; at most a quarter of the grace."""

STUBBORN = 1.0
"""Seconds for cancelled handlers to clean up, after which they are left behind."""


class Drain:
    """One server's drain; `run` it once."""

    def __init__(self, connections: Connections, spread: float = 0.0) -> None:
        self._connections = connections
        self._spread = spread
        self._loop = asyncio.get_running_loop()
        self._hurry = asyncio.Event()
        self._impatient = asyncio.Event()
        self._lingering = Lingering()
        self._told: set[int] = set()

    def hurry(self) -> None:
        """End the grace period now."""
        self._hurry.set()

    def lose_patience(self) -> None:
        """Wait for the quiet connections no longer."""
        self._impatient.set()

    async def run(
        self, grace: float, service: Service | None, errand: Coroutine[None, None, None]
    ) -> None:
        """Return when no connection is left, `grace` seconds from now at the latest.

        `errand` is the end of what the service does of its own accord, for which it
        waits as well. It is patient until `lose_patience`, which may have been called before.
        """
        self._connections.draining = lambda ended: self._lingering.release(ended.id)
        self._connections.turn_away()
        begin = self._loop.time()
        last_call = begin + grace - min(LAST_CALL, grace / 4)
        end = begin + grace - min(LAST_CALL, grace / 4) / 5
        if self._connections.open:
            open_now = counted(len(self._connections.open), "connection")
            log.info("draining %s, for at most %g s", open_now, grace)
        if service is not None:
            await self._until(self._tell(service), last_call)
        if not self._spread:
            await self._until(self._bear_with_all(), last_call)
        due = self._due(self._loop.time() + QUIET, last_call)
        await self._until(self._end_quiet(due), last_call)
        for connection in list(self._connections.open.values()):
            self._end_input(connection)
        await self._until(self._finished(), end)
        await self._until(errand, end)
        await self._cut()
        self._lingering.close()

    async def _tell(self, service: Service) -> None:
        try:
            await service.drain()
        except Exception as error:  # an author's code may raise anything
            log.error("%s.drain() failed", type(service).__name__, exc_info=error)

    async def _bear_with_all(self) -> None:
        emptied = self._loop.create_task(self._connections.emptied())
        impatient = self._loop.create_task(self._impatient.wait())
        try:
            await asyncio.wait([emptied, impatient], return_when=asyncio.FIRST_COMPLETED)
        finally:
            emptied.cancel()
            impatient.cancel()

    def _due(self, earliest: float, latest: float) -> dict[int, float]:
        """When each connection may be ended, by its number, evenly over the spread."""
        seconds = max(0.0, min(self._spread, latest - earliest))
        count = len(self._connections.open)
        return {
            number: earliest + seconds * index / count
            for index, number in enumerate(self._connections.open)
        }

    async def _end_quiet(self, due: dict[int, float]) -> None:
        while self._connections.open:
            now = self._loop.time()
            for connection in list(self._connections.open.values()):
                if connection.vanished():
                    self._connections.end_vanished(connection)
                elif now >= due.get(connection.id, 0.0) and self._is_quiet(connection):
                    self._end_input(connection)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self._connections.emptied()

    def _is_quiet(self, connection: Connection) -> bool:
        try:
            if unread(connection.sock):
                return False
        except OSError:
            return True
        traffic = connection.traffic()
        return traffic is None or traffic.quiet >= QUIET

    def _end_input(self, connection: Connection) -> None:
        if connection.id in self._told:
            return
        self._told.add(connection.id)
        connection.why = connection.why or "server shut down"
        self._lingering.keep(connection.id, connection.sock)
        connection.end_input()

    async def _finished(self) -> None:
        await self._connections.emptied()
        await self._lingering.finished()

    async def _cut(self) -> None:
        left = list(self._connections.open.values())
        if left:
            cut = counted(len(left), "connection")
            log.warning("%s cut at the end of the grace period", cut)
        for connection in left:
            connection.why = "cut at the end of the grace period"
            connection.cut()
        if left:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STUBBORN):
                    await self._connections.emptied()
                return
            stubborn = counted(len(self._connections.open), "cancelled handler")
            log.error("%s left behind: no end within %g s", stubborn, STUBBORN)

    async def _until(self, step: Coroutine[None, None, None], when: float) -> None:
        """Run one step until it is done, the time has come, or somebody hurries."""
        task: asyncio.Task[object] = self._loop.create_task(step)
        hurry: asyncio.Task[object] = self._loop.create_task(self._hurry.wait())
        timeout = max(0.0, when - self._loop.time())
        await asyncio.wait([task, hurry], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for each in (task, hurry):
            each.cancel()
        await asyncio.gather(task, hurry, return_exceptions=True)
