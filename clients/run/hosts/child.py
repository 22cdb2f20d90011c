"""A job on a host, as the engine has it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

from netkit.clients.run.hosts.channel import Channel
from netkit.subprocesses.children import ChildLostError, Fate

PATIENCE = 2.0
"""Seconds from KILL until its guard is not relied on: a job may stop its whole group."""


class RemoteChild:
    """A child whose group is ended by its host: `sweep` has nothing to add.

    `finish` gets the status when the job has ended and its output is here, and whether its
    files are of interest; KILL cancels it. `kill` kills a group by its number.
    """

    def __init__(
        self,
        channel: Channel,
        finish: Callable[[int, bool], Awaitable[None]],
        kill: Callable[[int], Awaitable[None]],
    ) -> None:
        self.pid = 0
        """On its host; 0 if that was lost before it said."""
        self._channel, self._finish, self._kill = channel, finish, kill
        self._killing: asyncio.Task[None] | None = None
        self._finishing: asyncio.Task[None] | None = None
        self.fate: asyncio.Future[Fate] = asyncio.create_task(self._end())
        self.fate.add_done_callback(lambda fate: fate.cancelled() or fate.exception())

    def signal(self, number: int) -> None:
        """Send a signal to the whole group; nothing happens once the job has ended."""
        self._channel.signal(number)
        if number == signal.SIGKILL:
            self._killing = self._killing or asyncio.create_task(self._insist())
            if self._finishing:
                self._finishing.cancel()

    def sweep(self) -> None:
        """What is left of the group is killed anyway."""

    async def _end(self) -> Fate:
        channel = self._channel
        flows = [flow for flow in (channel.stdout, channel.stderr) if flow]
        try:
            status = await channel.ended
            await channel.dry()
            for flow in flows:
                await flow.finish()
            self._finishing = asyncio.create_task(self._bring(status))
            await asyncio.wait({self._finishing})
            if not self._finishing.cancelled():
                self._finishing.result()
        except OSError as error:
            raise ChildLostError(f"its output cannot be written: {error.strerror}") from None
        finally:
            channel.close()
            if self._killing:
                self._killing.cancel()
                await asyncio.gather(self._killing, return_exceptions=True)
            for flow in flows:
                await flow.close()
        # Nothing is left: were its number given to `os.killpg`, it would be another's here.
        return Fate(status, None, left=False)

    async def _bring(self, status: int) -> None:
        await self._finish(status, status >= 0 and not self._killing)

    async def _insist(self) -> None:
        await asyncio.wait({self._channel.ended}, timeout=PATIENCE)
        if not self._channel.ended.done() and self.pid:
            await self._kill(self.pid)
