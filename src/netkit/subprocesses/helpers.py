"""Children started by small processes kept for that, from the loop.

A process with a loop, its libraries and its threads is a bad parent: it stands still until
the new program has begun (a vfork(2), half a millisecond each), and it may not run code
between fork and exec. A spawn helper is small, has nothing else to do, and may. It also
reaps: what the kernel says of each child comes with its end, without SIGCHLD or a thread
here, and the same on both loops. Dies netkit, its helpers end what still runs.
"""

from __future__ import annotations

import asyncio
import marshal
import os
import signal
import socket
import sys
from collections import deque
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from netkit.subprocesses import spawner
from netkit.subprocesses.children import ChildLostError, Fate
from netkit.subprocesses.command import Command, program, refused
from netkit.subprocesses.events import Usage
from netkit.subprocesses.shielding import to_its_end

LENGTH, READ = spawner.LENGTH, spawner.READ


class HelpedChild:
    """A child of a helper."""

    def __init__(self, helper: Helper, number: int, fate: asyncio.Future[Fate]) -> None:
        self.pid = 0
        self.fate = fate
        self._helper, self._number = helper, number

    def signal(self, number: int) -> None:
        """Send a signal to the whole group; nothing happens once the child was reaped."""
        self._helper.tell((self._number, int(number)))  # marshal knows no enum

    def sweep(self) -> None:
        """When the child ends, kill what is left of its group."""
        self._helper.tell((self._number,))


class Helper:
    """One helper and the socket to it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._link, self._theirs = socket.socketpair()
        self._link.setblocking(False)
        self._numbers = count(1)
        self._heard = bytearray()
        self._unsent: deque[tuple[memoryview, tuple[int, ...]]] = deque()
        self._starting: dict[int, asyncio.Future[int]] = {}
        self._children: dict[int, HelpedChild] = {}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def load(self) -> int:
        """How many children it has or starts."""
        return len(self._children)

    @property
    def closed(self) -> bool:
        """Whether it is gone, by `close` or by itself."""
        return self._link.fileno() < 0

    async def start(self) -> None:
        """Start its process. Raises `OSError` if that cannot be."""
        starting = asyncio.create_task(
            # Isolated and without site-packages: 10 ms instead of 30. A session of its own,
            # so that Ctrl-C at our terminal is not for it.
            asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", str(Path(spawner.__file__)),
                stdin=self._theirs.fileno(), stdout=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        )  # fmt: skip
        try:
            self._process = await asyncio.shield(starting)
        except asyncio.CancelledError:
            # Cancelled inside, uvloop would leave a zombie: it starts, and hears that it is over.
            self._link.close()
            with suppress(OSError):
                process = await to_its_end(starting)
                self._theirs.close()
                await to_its_end(asyncio.create_task(process.wait()))
            raise
        except OSError:
            self._link.close()
            raise
        finally:
            self._theirs.close()
        self._loop.add_reader(self._link.fileno(), self._readable)

    async def spawn(self, path: str, command: Command, stdio: tuple[int, int, int]) -> HelpedChild:
        """Start `command`; see `Spawner.spawn`."""
        number = next(self._numbers)
        started: asyncio.Future[int] = self._loop.create_future()
        child = HelpedChild(self, number, self._loop.create_future())
        self._starting[number], self._children[number] = started, child
        self.tell((number, path, command.words, *_surroundings(command, stdio)), stdio)
        try:
            child.pid = await started
        except asyncio.CancelledError:
            # The order is on its way: what it starts is ended before the descriptors may go.
            child.sweep()
            child.signal(signal.SIGKILL)
            with suppress(ChildLostError):
                await to_its_end(child.fate)
            raise
        except OSError as error:
            child.fate.cancel()
            raise refused(command, error) from None
        return child

    def tell(self, order: tuple[Any, ...], stdio: tuple[int, ...] = ()) -> None:
        """Send a frame, with descriptors beside it; what does not go out now goes out later."""
        if self.closed:
            return
        frame = marshal.dumps(order)
        self._unsent.append((memoryview(LENGTH.pack(len(frame)) + frame), stdio))
        if len(self._unsent) == 1:
            self._send()

    async def close(self) -> None:
        """Let it end; what it still has is killed. May be called twice."""
        for child in list(self._children.values()):
            child.sweep()
            child.signal(signal.SIGKILL)
        fates = [child.fate for child in self._children.values()]
        if fates and not self.closed:
            await asyncio.wait(fates)
        self._lose()
        if self._process:
            await self._process.wait()

    def _send(self) -> None:
        while self._unsent:
            data, stdio = self._unsent[0]
            try:
                sent = (
                    socket.send_fds(self._link, [data], stdio) if stdio else self._link.send(data)
                )
            except BlockingIOError:
                self._loop.add_writer(self._link.fileno(), self._send)
                return
            except OSError:
                return  # it is gone: the end of reading says so
            if sent < len(data):
                self._unsent[0] = (data[sent:], ())  # they went with the first byte
            else:
                self._unsent.popleft()
        self._loop.remove_writer(self._link.fileno())

    def _readable(self) -> None:
        try:
            data = self._link.recv(READ)
        except BlockingIOError:
            return
        except OSError:  # reset: it died with something unread
            data = b""
        if not data:
            self._lose()
            return
        heard, at = self._heard, 0
        heard += data
        while len(heard) - at >= LENGTH.size:
            end = at + LENGTH.size + LENGTH.unpack_from(heard, at)[0]
            if len(heard) < end:
                break
            self._hear(*marshal.loads(heard[at + LENGTH.size : end]))  # noqa: S302  # our helper
            at = end
        del heard[:at]

    def _hear(self, number: int, *what: Any) -> None:
        if len(what) == 1:
            if not (started := self._starting.pop(number)).done():
                started.set_result(what[0])
            return
        child = self._children.pop(number)
        if len(what) == 2:
            if not (started := self._starting.pop(number)).done():
                started.set_exception(OSError(*what))
            else:
                child.fate.set_result(
                    Fate(-signal.SIGKILL, None, left=False)
                )  # cancelled meanwhile
            return
        status, user, system, rss, left = what
        if not child.fate.done():
            child.fate.set_result(Fate(status, Usage(user, system, rss * 1024), left))

    def _lose(self) -> None:
        """Close the socket: it ends, and ends what it has. Whoever waits hears of it."""
        if self.closed:
            return
        self._loop.remove_reader(self._link.fileno())
        self._loop.remove_writer(self._link.fileno())
        self._link.close()
        self._unsent.clear()
        for child in self._children.values():
            if child.pid:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(child.pid, signal.SIGKILL)
            if not child.fate.done():
                child.fate.set_exception(ChildLostError("its spawn helper died"))
                child.fate.exception()  # not every job has somebody who waits
        for started in self._starting.values():
            if not started.done():
                started.set_exception(OSError(0, "its spawn helper died"))
        self._children.clear()
        self._starting.clear()


class Helpers:
    """Several helpers, each started when it is needed first, the one with least to do next."""

    def __init__(self, count: int = 2) -> None:
        self._count = count
        self._helpers: list[Helper] = []
        self._starting = asyncio.Lock()

    async def spawn(self, command: Command, stdio: tuple[int, int, int]) -> HelpedChild:
        """Start `command`; see `Spawner.spawn`."""
        path = program(command)
        try:
            helper = await self._free()
        except OSError as error:
            raise refused(command, error) from None
        return await helper.spawn(path, command, stdio)

    async def close(self) -> None:
        """Kill what still runs and wait for it, cancelled or not. May be called twice."""
        closing = asyncio.create_task(self._close())
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            await to_its_end(closing)
            raise

    async def _close(self) -> None:
        while self._helpers:
            await self._helpers.pop().close()

    async def _free(self) -> Helper:
        least = self._least()
        if least is None or (least.load and len(self._helpers) < self._count):
            async with self._starting:
                least = self._least()
                if least is None or (least.load and len(self._helpers) < self._count):
                    least = Helper()
                    await least.start()
                    self._helpers.append(least)
        return least

    def _least(self) -> Helper | None:
        if any(helper.closed for helper in self._helpers):
            self._helpers = [helper for helper in self._helpers if not helper.closed]
        return min(self._helpers, key=lambda helper: helper.load, default=None)


def _surroundings(command: Command, stdio: tuple[int, int, int]) -> tuple[Any, ...]:
    around = command.surroundings
    rest = None
    if not around.ordinary:
        rest = (
            around.nice,
            tuple(around.cpus),
            tuple((which, *pair) for which, pair in around.limits.items()),
            around.user,
            around.cgroup and str(around.cgroup),
        )
    return (
        None if around.env is None else dict(around.env),
        None if around.cwd is None else str(around.cwd),
        around.umask,
        os.ttyname(stdio[0]) if command.terminal else None,
        rest,
    )
