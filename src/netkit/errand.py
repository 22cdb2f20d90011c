"""What a service does of its own accord, beside its connections: `Service.run`."""

from __future__ import annotations

import asyncio
import logging

from netkit.errors import NetkitError
from netkit.service import Service

log = logging.getLogger("netkit.server")


class Errand:
    """A service's `run` as a task, from `start` until it has returned or `end` cancels it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Run it, if the service has one."""
        if type(self._service).run is not Service.run:
            self._task = asyncio.get_running_loop().create_task(self._run())
            self._task.add_done_callback(_retrieve)

    async def done(self) -> None:
        """Wait until it is over; for ever if there is none.

        Raises the `NetkitError` by which it ended; anything else was logged, and is one here.
        """
        if self._task is None:
            await asyncio.Event().wait()
        else:
            await asyncio.shield(self._task)

    async def over(self) -> None:
        """Wait until it is over, however it ended; not at all if there is none."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def end(self) -> None:
        """Cancel it, unless it is over."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        name = type(self._service).__name__
        try:
            await self._service.run()
        except NetkitError:
            raise
        except Exception as error:  # an author's code may raise anything
            log.error("%s.run() failed", name, exc_info=error)
            raise NetkitError(f"{name} ended: {type(error).__name__}: {error}") from error


def _retrieve(task: asyncio.Task[None]) -> None:
    """Look at the error, which nobody may ask for: asyncio would complain of that."""
    if not task.cancelled():
        task.exception()
