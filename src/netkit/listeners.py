"""Accepting connections, and not accepting them for a while.

A listener that pauses leaves newcomers in the kernel's queue, where they wait
without cost; accepting and closing them would make each try again.

Two ways to do it, because the loops differ:

- asyncio's own server cannot be paused without losing what it accepted in the
  same turn (`Server._attach` asserts that the server is open), and at EMFILE
  it logs a line for each place in the backlog instead of waiting. So
  `AcceptLoop` accepts by itself, with public calls alone, at the same cost.
- uvloop accepts in C, at two thirds of what a Python loop costs there, and
  attaches each connection in the same call. `NativeListener` lets it, on a
  duplicate of the socket: closing that server pauses, serving a new duplicate
  resumes. Under TLS, where the handshake costs thirty times as much, and where
  a proxy's header comes first, `AcceptLoop` serves there too.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from netkit.endpoints import BACKLOG
from netkit.loops import is_uvloop
from netkit.service import ProtocolFactory

log = logging.getLogger("netkit.server")

TRANSIENT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Lack of something that comes back (accept(2)): wait and try again."""

RETRY = 0.25
"""Seconds until the next try after a lack of descriptors or memory."""

BATCH = 64
"""Connections accepted in one turn of the loop, so that the open ones get theirs."""

NO_ROOM = "cannot accept: %s; newcomers wait in the kernel's queue"


class Listener(Protocol):
    """One listening socket that can be paused; the socket itself stays the caller's."""

    def resume(self) -> None:
        """Accept, from now on. Does nothing if it accepts already."""

    def pause(self) -> None:
        """Leave newcomers in the kernel's queue. Does nothing if paused."""

    async def close(self) -> None:
        """Accept what has arrived already, then stop for good."""


Take = Callable[[socket.socket, Any], asyncio.Task[None] | None]
"""Takes over an accepted socket, with its peer's name as accept(2) gives it; the end of its task,
if there is one, has to be awaited."""


def listener(sock: socket.socket, factory: ProtocolFactory) -> Listener:
    """Make the listener that suits the running loop; it is paused until `resume`."""
    if is_uvloop(asyncio.get_running_loop()):
        return NativeListener(sock, factory)
    return AcceptLoop(sock, adopting(factory))


def adopting(factory: ProtocolFactory) -> Take:
    """Make what has the loop serve an accepted socket by a protocol."""
    loop = asyncio.get_running_loop()
    return lambda conn, _: loop.create_task(adopt(factory, conn))


async def adopt(factory: ProtocolFactory, conn: socket.socket) -> None:
    """Make a transport of an accepted socket; the transport closes it."""
    try:
        await asyncio.get_running_loop().connect_accepted_socket(factory, conn)
    except OSError:
        conn.close()  # reset before the transport was made


class Acceptor(socket.socket):
    """Accepts for a listening socket, whose descriptor it borrows: `detach` it at the end.

    ``accept()`` asks for family and type each time, and finds a name for each number in
    `socket.AddressFamily` and `socket.SocketKind`. Here they are what they are: 0.98 of the
    CPU for an accepted connection on asyncio's loop.
    """

    __slots__ = ("family", "type")

    def __init__(self, lender: socket.socket) -> None:
        super().__init__(lender.family, lender.type, lender.proto, lender.fileno())
        self.family: Any = int(lender.family)
        self.type: Any = int(lender.type)
        self.setblocking(False)


class AcceptLoop:
    """Accepts with `loop.add_reader` and gives each socket to `take`.

    If `take` returns a task, `close` waits for it.
    """

    def __init__(self, sock: socket.socket, take: Take) -> None:
        self._sock = sock
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._acceptor: Acceptor | None = None
        """While it accepts."""
        self._retry: asyncio.TimerHandle | None = None
        self._adopting: list[asyncio.Task[None]] = []

    def resume(self) -> None:
        """See `Listener`."""
        if self._acceptor is None:
            self._acceptor = Acceptor(self._sock)
            self._loop.add_reader(self._sock, self._accept)

    def pause(self) -> None:
        """See `Listener`."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._acceptor is not None:
            self._acceptor.detach()
            self._acceptor = None
            self._loop.remove_reader(self._sock)

    async def close(self) -> None:
        """See `Listener`."""
        # As many as can have been queued, and no more: newcomers may keep coming.
        for _ in range(BACKLOG // BATCH):
            if self._acceptor is None or not self._accept():
                break
        self.pause()
        if self._adopting:
            await asyncio.wait(self._adopting)

    def _accept(self) -> bool:
        """Accept one batch; whether there may be more."""
        # Here, a batch at a time: to hear of each task's end took 9,000 instructions.
        self._adopting = [task for task in self._adopting if not task.done()]
        for _ in range(BATCH):
            if self._acceptor is None:
                return False
            try:
                conn, peername = self._acceptor.accept()
            except (BlockingIOError, InterruptedError):
                return False
            except ConnectionAbortedError:
                continue  # it left while it waited
            except OSError as error:
                if error.errno not in TRANSIENT:
                    raise
                self._wait_for_room(error)
                return False
            conn.setblocking(False)
            if (task := self._take(conn, peername)) is not None:
                self._adopting.append(task)
        return True

    def _wait_for_room(self, error: OSError) -> None:
        log.warning(NO_ROOM, error.strerror)
        self.pause()
        self._retry = self._loop.call_later(RETRY, self.resume)


class NativeListener:
    """Accepts with the loop's own server, on a duplicate of the socket."""

    def __init__(self, sock: socket.socket, factory: ProtocolFactory) -> None:
        self._sock = sock
        self._factory = factory
        self._loop = asyncio.get_running_loop()
        self._server: asyncio.Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._retry: asyncio.TimerHandle | None = None

    def resume(self) -> None:
        """See `Listener`."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._server is None and self._serving is None:
            self._serving = self._loop.create_task(self._serve())
            self._serving.add_done_callback(self._served)

    def pause(self) -> None:
        """See `Listener`."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._serving is not None:
            self._serving.cancel()
        if self._server is not None:
            # Not wait_closed(): that waits for the connections as well.
            self._server.close()
            self._server = None

    async def close(self) -> None:
        """See `Listener`."""
        if self._server is not None:
            # One turn for libuv to accept what the kernel has queued, one to hand it over.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        self.pause()
        if self._serving is not None:
            await asyncio.wait([self._serving])

    async def _serve(self) -> None:
        create: Any = self._loop.create_server
        if self._sock.family == socket.AF_UNIX:
            create = self._loop.create_unix_server
            if sys.version_info >= (3, 13):  # from then on it would remove the socket's file
                create = partial(create, cleanup_socket=False)
        try:
            duplicate = self._sock.dup()
        except OSError as error:
            if error.errno not in TRANSIENT:
                raise
            log.warning(NO_ROOM, error.strerror)
            self._retry = self._loop.call_later(RETRY, self.resume)
            return
        self._server = await create(self._factory, sock=duplicate, backlog=BACKLOG)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._serving = None
        if not task.cancelled() and (error := task.exception()):
            log.error("cannot accept on %s: %s", self._sock.getsockname(), error)
