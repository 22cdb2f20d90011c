"""One session with a host: a job's output, its signals, its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import asyncssh

from netkit.clients.run.hosts.order import Prologue, signal_name, signal_number
from netkit.clients.run.hosts.outflow import Outflow
from netkit.subprocesses.children import ChildLostError

LINGER = 0.5
"""Seconds of silence after a job's end until whoever holds its output is waited for no more."""

MOST = 4 * 1024 * 1024
"""Bytes after a job's end: a window and a pipe of the job's own, the rest is somebody else's."""

STDERR = asyncssh.EXTENDED_DATA_STDERR


class Channel(asyncssh.SSHClientSession[bytes]):
    """What asyncssh tells of a session, and what may be asked of it.

    `greeted` is done when the host has answered, with what it said; `ended` when the session's
    process has ended: its status as `Fate` has it. Both fail with `ChildLostError`.
    """

    def __init__(self, host: str, token: str) -> None:
        loop = asyncio.get_running_loop()
        self.greeted: asyncio.Future[str] = loop.create_future()
        self.ended: asyncio.Future[int] = loop.create_future()
        self.closed = asyncio.Event()
        self.stdout: Outflow | None = None
        self.stderr: Outflow | None = None
        self._host, self._lost = host, f"the connection to {host} was lost"
        self._prologues = {None: Prologue(token), STDERR: Prologue(token)}
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._stirred = asyncio.Event()
        self._received = 0
        self._eof = self._paused = False
        self._leave: Callable[[], None] | None = None

    @property
    def noise(self) -> str:
        """The last line of what a host said that is no answer."""
        return self._prologues[None].noise or self._prologues[STDERR].noise

    def when_closed(self, leave: Callable[[], None]) -> None:
        """Have this called once, when the session is closed."""
        if self.closed.is_set():
            leave()
        else:
            self._leave = leave

    def say(self, data: bytes) -> None:
        """Write to the session's input."""
        if self._channel and not self._channel.is_closing():
            with suppress(OSError):  # closed at this moment
                self._channel.write(data)

    def signal(self, number: int) -> None:
        """Send a signal to the job's process group, if its host may be told of it."""
        if name := signal_name(number):
            self.say(f"{name}\n".encode())

    def close(self) -> None:
        """End the session; what runs there is ended."""
        if self._channel:
            self._channel.close()

    def resume(self) -> None:
        """There is room again in one of the flows."""
        if self._paused and self._channel and not self._full:
            self._paused = False
            self._stirred.set()
            self._channel.resume_reading()

    async def dry(self) -> None:
        """Wait for the end of a job's output, after its own end. Raises `ChildLostError`.

        Somebody else may hold it: then until they are silent, or say too much.
        """
        most = self._received + MOST
        while not self._eof and self._received < most:
            if self.closed.is_set():
                raise ChildLostError(self._lost)
            self._stirred.clear()
            try:
                async with asyncio.timeout(LINGER):
                    await self._stirred.wait()
            except TimeoutError:
                if not self._paused:
                    return

    # What asyncssh calls.

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """See asyncssh.SSHClientSession."""
        self._channel = chan

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        """See asyncssh.SSHClientSession."""
        self._received += len(data)
        self._stirred.set()
        prologue = self._prologues[datatype]
        data = prologue.feed(data)
        if prologue.answer is not None and datatype is None and not self.greeted.done():
            self.greeted.set_result(prologue.answer)
        if prologue.hopeless:
            self.close()
        flow = self.stderr if datatype == STDERR else self.stdout
        if data and flow:
            flow.put(data)
            if self._full and not self._paused and self._channel:
                self._paused = True
                self._channel.pause_reading()

    def eof_received(self) -> bool:
        """See asyncssh.SSHClientSession."""
        self._eof = True
        self._stirred.set()
        return True  # its input stays open: that it ends says that we are gone

    def exit_status_received(self, status: int) -> None:
        """See asyncssh.SSHClientSession."""
        if not self.ended.done():
            self.ended.set_result(status)

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        """See asyncssh.SSHClientSession."""
        number = signal_number(signal)
        if number is not None and not self.ended.done():
            self.ended.set_result(-number)
        self._fail(f"{self._host} says that a signal ended it, but has no name for that one")

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncssh.SSHClientSession."""
        # Closed as it should be, all that was buffered has been given to us; asyncssh forgets to
        # tell of an EOF that waited behind it.
        self._eof = self._eof or (exc is None and not self._paused)
        self.closed.set()
        self._stirred.set()
        if self._leave:
            self._leave()
        self._fail(self._lost, also=self.greeted)

    def _fail(self, why: str, also: asyncio.Future[str] | None = None) -> None:
        for future in (self.ended, also):
            if future and not future.done():
                future.set_exception(ChildLostError(why))
                future.exception()  # not everybody waits

    @property
    def _full(self) -> bool:
        return any(flow and flow.full for flow in (self.stdout, self.stderr))
