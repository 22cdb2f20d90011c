"""The connections to a host, and the sessions in them.

One connection holds several sessions, as many as sshd's MaxSessions says (10 by default), and
it says so only by refusing one: then there is another connection. They are made one after the
other, since sshd turns away those who come in crowds (MaxStartups).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import asyncssh

from netkit.clients.run.hosts.login import HostError

T = TypeVar("T")

FAREWELL = 2.0
"""Seconds for a connection to be closed as it should be."""


REFUSALS = 20
"""In a row, by a connection that has no session."""


class Line:
    """One connection."""

    def __init__(self) -> None:
        self.connection: asyncssh.SSHClientConnection
        self.sessions = 0
        self.room: int | None = None
        """So many sessions; None: nobody has refused one yet."""
        self.lost = False
        self.proven = False
        """Whether there was a session in it."""
        self.refusals = 0
        """In a row."""

    @property
    def roomy(self) -> bool:
        """Whether it may have one session more."""
        return not self.lost and (self.room is None or self.sessions < self.room)

    def leave(self) -> None:
        """One of the sessions is over."""
        self.sessions -= 1


class Connections:
    """Those of one host. `connect` makes one, and `lost` is told why one has ended."""

    def __init__(
        self,
        connect: Callable[[Callable[[str], None]], Awaitable[asyncssh.SSHClientConnection]],
        lost: Callable[[str], None],
    ) -> None:
        self._connect, self._lost = connect, lost
        self._lines: list[Line] = []
        self._making = asyncio.Lock()
        self._failure: HostError | None = None
        self._closing = False

    async def session(
        self, begin: Callable[[asyncssh.SSHClientConnection], Awaitable[T]]
    ) -> tuple[T, Callable[[], None]]:
        """What `begin` makes of a connection with room, and what to call when that is over.

        Raises `HostError`: so does every call after that.
        """
        while True:
            line = await self._roomy()
            line.sessions += 1
            try:
                made = await begin(line.connection)
            except asyncssh.ChannelOpenError as error:
                line.leave()
                self._refused(line, error)
            except (asyncssh.Error, OSError) as error:
                line.leave()
                raise self._failed(str(error) or "the connection was lost") from None
            except BaseException:  # a cancellation too
                line.leave()
                raise
            else:
                line.proven, line.refusals = True, 0
                return made, line.leave

    async def close(self) -> None:
        """Close all of them. May be called twice."""
        self._closing = True
        lines, self._lines = self._lines, []
        await asyncio.gather(*map(_closed, lines))

    def _refused(self, line: Line, error: asyncssh.ChannelOpenError) -> None:
        if line.lost:
            raise self._failed("the connection was lost")
        line.refusals += 1
        if not line.sessions and (not line.proven or line.refusals > REFUSALS):
            raise self._failed(f"it has no session for us: {error.reason}")
        # One that is over here may not be there yet. Then this is too little by one, which
        # costs a connection; or, if there is no other session, the question is asked again.
        line.room = max(1, line.sessions)

    async def _roomy(self) -> Line:
        if (line := self._free()) is None:
            async with self._making:
                if (line := self._free()) is None:
                    line = await self._made()
        return line

    def _free(self) -> Line | None:
        if self._failure:
            raise self._failure
        return next((line for line in self._lines if line.roomy), None)

    async def _made(self) -> Line:
        line = Line()

        def lost(why: str) -> None:
            line.lost = True
            if line in self._lines:
                self._lines.remove(line)
                if not self._closing:
                    self._lost(str(self._failed(why)))

        try:
            line.connection = await self._connect(lost)
        except HostError as error:
            raise self._failed(str(error)) from None
        if line.lost:
            raise self._failed("the connection was lost")
        self._lines.append(line)
        return line

    def _failed(self, why: str) -> HostError:
        self._failure = self._failure or HostError(why)
        return self._failure


async def _closed(line: Line) -> None:
    line.connection.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(FAREWELL):
            await line.connection.wait_closed()
            return
    line.connection.abort()
    await line.connection.wait_closed()
