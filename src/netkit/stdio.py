"""Standard input and output in a loop, whatever they are.

Each gets a thread that makes the blocking calls. The loop's ``connect_read_pipe``
will not do: it refuses regular files (epoll has no readiness for them; asyncio raises
ValueError), and it sets O_NONBLOCK, which on a terminal or a pipe is shared with every
other process that holds it, so that a shell's or `cat`'s next read or write there fails
with EAGAIN. With threads, one way serves files, pipes, terminals, sockets and /dev/null
on both loops and leaves the descriptors as they were. Nothing is read ahead and a write
is awaited: what is held here is one chunk each way.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from netkit import threads
from netkit.errors import NetkitError, UsageError

T = TypeVar("T")


class OutputClosedError(Exception):
    """Nobody reads our standard output any more (EPIPE)."""


class Lane:
    """A thread that makes blocking calls for the loop, one at a time.

    It is a daemon: a call that never returns (a write to a pipe that nobody empties)
    must not hold up the end of the process, as an executor's threads would.
    """

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threads.start(self._run, name)

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Await ``function(*args)``, made in the thread. Cancelling does not stop it there."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def make() -> None:
            try:
                result = function(*args)
            except Exception as error:  # whatever it is, the one who awaits gets it
                settle = partial(future.set_exception, error)
            else:
                settle = partial(future.set_result, result)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(lambda: future.done() or settle())

        self._calls.put(make)
        return await future

    def close(self, timeout: float = 0.0) -> None:
        """Let the thread end after the call that it is in; wait `timeout` seconds for that."""
        self._calls.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        while make := self._calls.get():
            make()


class Streams:
    """Standard input, output and error, given as descriptors; None: closed.

    They stay open; `close` ends the threads. `show` is applied to what is written to
    output, for a terminal that must not obey the peer's escape sequences.
    """

    def __init__(
        self,
        stdin: int | None,
        stdout: int | None,
        stderr: int | None,
        show: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self._stdin, self._stdout, self._stderr = stdin, stdout, stderr
        self._show = show
        self._input, self._output = Lane("stdin"), Lane("stdout")
        self._stopped, self._stop = os.pipe()

    async def read(self, size: int) -> bytes:
        """Wait for input; empty at its end. Raises `UsageError` when it cannot be read."""
        if self._stdin is None:
            return b""
        try:
            return await self._input.call(_read, self._stdin, self._stopped, size)
        except OSError as error:
            raise UsageError(f"standard input cannot be read: {error.strerror}") from error

    async def write(self, data: bytes) -> None:
        """Write all of it to output. Raises `OutputClosedError`, `NetkitError`."""
        if self._stdout is None:
            return
        shown = self._show(data) if self._show else data
        try:
            await self._output.call(_write, self._stdout, shown)
        except BrokenPipeError:
            raise OutputClosedError from None
        except OSError as error:
            raise NetkitError(f"standard output cannot be written: {error.strerror}") from error

    async def note(self, text: str) -> None:
        """Write a remark to error output, if it can be."""
        if self._stderr is not None:
            with suppress(OSError):  # remarks are not worth ending the session
                await self._output.call(_write, self._stderr, text.encode())

    def close(self) -> None:
        """Wake the reading thread and let both end. A write under way is left to itself."""
        os.close(self._stop)
        self._input.close(timeout=1.0)  # at once, unless somebody else took what was ready
        self._output.close()
        os.close(self._stopped)


def _read(fd: int, stopped: int, size: int) -> bytes:
    # Waiting in poll instead of in read: a thread in read could only be left behind,
    # and would swallow the next line typed for somebody else.
    while True:
        waiting = select.poll()
        waiting.register(fd, select.POLLIN)
        waiting.register(stopped, select.POLLIN)
        if any(ready == stopped for ready, _ in waiting.poll()):
            return b""
        try:
            return os.read(fd, size)
        except BlockingIOError:  # somebody else made it non-blocking, and read first
            continue
        except OSError as error:
            if error.errno == errno.EIO:  # the terminal is gone, or we are in its background
                return b""
            raise


def _write(fd: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(fd, left) :]
        except BlockingIOError:  # somebody else made it non-blocking
            waiting = select.poll()
            waiting.register(fd, select.POLLOUT)
            waiting.poll()
