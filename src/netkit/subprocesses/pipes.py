"""A child's pipes, from our side: read and written as they become ready.

Not asyncio's: its transports for pipes read 256 KiB at a time into a StreamReader that has
a limit for lines, and uvloop gives children sockets for pipes, so that /dev/stdin cannot be
opened in them. A descriptor watched by the loop is the same on both.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
from collections.abc import Callable
from contextlib import suppress

CHUNK = 64 * 1024
"""Bytes of a read, as much as a pipe holds by itself.

More is slower even where there is more: Python gets memory for all that may come and gives
back what did not, and from 128 KiB on that goes to the kernel each time (mallopt(3)), a page
fault for every 4 KiB. At 1 MiB that takes twice as long as the reading."""

LARGE = 1024 * 1024
"""Bytes of a pipe that was found full: /proc/sys/fs/pipe-max-size."""


class Outlet:
    """What a child writes, read as fast as it is taken.

    `deliver` gets each chunk and says whether it wants more now; if not, `resume` tells when.
    `ended` is called once, when there is nothing more. The descriptor is closed then, or by
    `close`.
    """

    def __init__(
        self, fd: int, deliver: Callable[[bytes], bool], ended: Callable[[], None]
    ) -> None:
        self._fd, self._deliver, self._ended = fd, deliver, ended
        self._loop = asyncio.get_running_loop()
        self._large = False
        self._loop.add_reader(fd, self._readable)

    @property
    def closed(self) -> bool:
        """Whether there will be nothing more."""
        return self._fd < 0

    def resume(self) -> None:
        """Go on after `deliver` wanted no more."""
        if self._fd >= 0:
            self._loop.add_reader(self._fd, self._readable)

    def drain(self) -> None:
        """Read what is there, at most one pipe full, without a turn of the loop."""
        if self._fd >= 0:
            self._read(LARGE if self._large else CHUNK)

    def close(self) -> None:
        """Read no more. May be called twice."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
            self._ended()

    def _readable(self) -> None:
        self._read(CHUNK)

    def _read(self, most: int) -> None:
        try:
            data = os.read(self._fd, most)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.EIO:  # how a terminal tells that nobody has it open
                raise
            data = b""
        if not data:
            self.close()
            return
        if len(data) == CHUNK and not self._large:
            self._enlarge()
        if not self._deliver(data):
            self._loop.remove_reader(self._fd)

    def _enlarge(self) -> None:
        # One that fills its pipe wakes us for every 64 KiB; most never do, and cost nothing.
        self._large = True
        with suppress(OSError):  # EPERM: our user has as much as /proc/sys/fs/pipe-user-pages-soft
            fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, LARGE)


class Inlet:
    """What a child reads. The descriptor is closed by `close`, or when nobody reads it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._room: asyncio.Future[None] | None = None

    @property
    def closed(self) -> bool:
        """Whether nothing can be written any more."""
        return self._fd < 0

    async def write(self, data: bytes | memoryview) -> bool:
        """Write all of it, at the child's pace; False if it reads no more."""
        left = memoryview(data)
        while left:
            if self._fd < 0:
                return False
            try:
                left = left[os.write(self._fd, left) :]
            except BlockingIOError:
                await self._writable()
            except OSError as error:
                if error.errno not in (errno.EPIPE, errno.EIO):
                    raise
                self.close()
        return self._fd >= 0

    def close(self) -> None:
        """Let it read the end of its input. May be called twice."""
        if self._fd >= 0:
            self._loop.remove_writer(self._fd)
            os.close(self._fd)
            self._fd = -1
        if self._room and not self._room.done():
            self._room.set_result(None)

    async def _writable(self) -> None:
        self._room = self._loop.create_future()
        self._loop.add_writer(self._fd, self._ready)
        try:
            await self._room
        finally:
            if self._fd >= 0:
                self._loop.remove_writer(self._fd)
            self._room = None

    def _ready(self) -> None:
        if self._room and not self._room.done():
            self._room.set_result(None)
