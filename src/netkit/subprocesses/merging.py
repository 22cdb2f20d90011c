"""Events of many jobs in one stream, no faster than they are taken."""

from __future__ import annotations

import asyncio
from collections import deque

from netkit.subprocesses.events import Event, Output
from netkit.subprocesses.job import Job

HELD = 8 * 1024 * 1024
"""Bytes of output that wait to be taken; beyond that no pipe is read, and writers wait."""


class Merged:
    """What jobs put in and one consumer takes out, in that order."""

    def __init__(self, held: int = HELD) -> None:
        self._most, self._held = held, 0
        self._events: deque[Event] = deque()
        self._paused: set[Job] = set()
        self._over = False
        self._failure: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None

    def put(self, event: Event, job: Job | None = None) -> bool:
        """Add one; False if `job` should read no more until its `resume` is called."""
        self._events.append(event)
        self._wake()
        if type(event) is Output:
            self._held += len(event.data)
            if job and self._held >= self._most:
                self._paused.add(job)
                return False
        return True

    def fail(self, error: BaseException) -> None:
        """Have `take` raise this: a fault of ours, or of a spawner's, and no job's."""
        self._failure = self._failure or error
        self._wake()

    def finish(self) -> None:
        """Nothing more will be put in."""
        self._over = True
        self._wake()

    async def take(self) -> Event | None:
        """Wait for the next one; None when there will be none."""
        while self._failure or not self._events:
            if self._failure:
                raise self._failure
            if self._over:
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        event = self._events.popleft()
        if type(event) is Output:
            self._held -= len(event.data)
            if self._paused and self._held <= self._most // 2:
                paused, self._paused = self._paused, set()
                for job in paused:
                    job.resume()
        return event

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)
