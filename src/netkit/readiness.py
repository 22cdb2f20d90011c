"""Waiting for a socket that no transport has yet."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from typing import Any


async def readable(sock: socket.socket) -> None:
    """Wait until something has arrived, or the end has."""
    loop = asyncio.get_running_loop()
    await _told(sock.fileno(), loop.add_reader, loop.remove_reader)


async def connect(sock: socket.socket, where: Any) -> None:
    """Connect a non-blocking socket to an address that needs no looking up. Raises OSError.

    As ``loop.sock_connect``, but that looks at the address once more, and both loops take a
    Unix socket whose queue is full for connected: here it is BlockingIOError.
    """
    failure = sock.connect_ex(where)
    if failure == errno.EINPROGRESS:
        loop = asyncio.get_running_loop()
        await _told(sock.fileno(), loop.add_writer, loop.remove_writer)
        failure = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if failure:
        raise OSError(failure, os.strerror(failure))


async def _told(
    descriptor: int, watch: Callable[..., object], unwatch: Callable[[int], object]
) -> None:
    waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    watch(descriptor, _tell, waiting)
    try:
        await waiting
    finally:
        unwatch(descriptor)


def _tell(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
