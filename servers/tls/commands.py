"""A command as an upstream: its standard input and output as a transport.

It gets what the client sends on standard input, and what it prints is sent back; standard
error is netkit's own. It runs in a process group of its own, without a shell, and ends as
`netkit.subprocesses.job` has it: by TERM, then KILL, if its client is gone before it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from netkit.subprocesses.children import Spawner
from netkit.subprocesses.command import Command, NotStartedError, Stdio
from netkit.subprocesses.events import Event, Output, Started
from netkit.subprocesses.job import Bounds, Job

HIGH, LOW = 65_536, 16_384
"""Bytes that wait for the command, as asyncio's transports have them."""

GRACE = 5.0
"""Seconds from TERM to KILL."""


class CommandTransport(asyncio.Transport):
    """A command's standard input and output. `start` it; the end comes as from any transport."""

    def __init__(self, words: Sequence[str], protocol: asyncio.Protocol, spawner: Spawner) -> None:
        super().__init__()
        command = Command(tuple(words), stdin=Stdio.PIPE, stderr=Stdio.INHERIT)
        self._job = Job(1, command, self._sink, bounds=Bounds(grace=GRACE), lines=False)
        self._protocol, self._spawner = protocol, spawner
        self._unsent: deque[bytes] = deque()
        self._size = 0
        self._news = asyncio.Event()
        self._leaving = self._closing = self._paused = self._stopped = False
        self._started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._life: asyncio.Task[None] | None = None

    async def start(self, first: bytes = b"") -> None:
        """Start it, give it `first`, and let the protocol begin. Raises OSError if it cannot be."""
        if first:
            self._unsent.append(first)
            self._size = len(first)
        self._life = asyncio.create_task(self._live())
        try:
            await asyncio.shield(self._started)
        except asyncio.CancelledError:
            self._life.cancel()
            raise

    def set_protocol(self, protocol: Any) -> None:
        """See `asyncio.BaseTransport`."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.Protocol:
        """See `asyncio.BaseTransport`."""
        return self._protocol

    def is_reading(self) -> bool:
        """See `asyncio.ReadTransport`."""
        return not (self._paused or self._closing)

    def pause_reading(self) -> None:
        """See `asyncio.ReadTransport`; a chunk may still come."""
        self._paused = True

    def resume_reading(self) -> None:
        """See `asyncio.ReadTransport`."""
        if self._paused:
            self._paused = False
            self._job.resume()

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """See `asyncio.WriteTransport`."""
        if self._leaving or self._closing or not data:
            return
        self._unsent.append(bytes(data))
        self._size += len(data)
        self._news.set()
        if self._size > HIGH and not self._stopped:
            self._stopped = True
            self._protocol.pause_writing()

    def can_write_eof(self) -> bool:
        """True: its standard input is closed."""
        return True

    def write_eof(self) -> None:
        """End its standard input after what was written."""
        self._leaving = True
        self._news.set()

    def get_write_buffer_size(self) -> int:
        """See `asyncio.WriteTransport`."""
        return self._size

    def is_closing(self) -> bool:
        """See `asyncio.BaseTransport`."""
        return self._closing

    def close(self) -> None:
        """End its standard input after what was written; what it prints is discarded."""
        self._closing = True
        self.write_eof()
        self.resume_reading()

    def abort(self) -> None:
        """End the command."""
        self._closing = True
        if self._life is not None:
            self._life.cancel()

    async def _live(self) -> None:
        feeding = asyncio.create_task(self._feed())
        ended = False
        try:
            await self._job.run(self._spawner)
            ended = True
        except NotStartedError as error:
            self._started.set_exception(ConnectionError(str(error)))
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            self._end(ended)

    def _end(self, in_order: bool) -> None:
        if not self._started.done() or self._started.exception():
            self._started.cancel()
            return
        if in_order and not self._closing:
            self._protocol.eof_received()
        self._closing = True
        self._protocol.connection_lost(None)

    def _sink(self, event: Event, job: Job) -> bool:
        if isinstance(event, Started):
            self._begin()
        elif isinstance(event, Output) and not self._closing:
            self._protocol.data_received(event.data)
        return not self._paused

    def _begin(self) -> None:
        if self._started.cancelled():
            return
        self._started.set_result(None)
        self._protocol.connection_made(self)
        self._news.set()

    async def _feed(self) -> None:
        await self._started
        stdin = self._job.stdin
        while stdin is not None:
            while self._unsent:
                data = self._unsent.popleft()
                await stdin.write(data)  # False if it reads no more: the rest is discarded
                self._size -= len(data)
                self._mind_pressure()
            if self._leaving:
                stdin.close()
                return
            self._news.clear()
            await self._news.wait()

    def _mind_pressure(self) -> None:
        if self._stopped and self._size <= LOW:
            self._stopped = False
            self._protocol.resume_writing()
