"""Waiting for a socket that no transport has yet."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import Any


async def readable(sock: socket.socket) -> None:
    """Wait until something has arrived, or the end has."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Future[None] = loop.create_future()
    descriptor = sock.fileno()
    loop.add_reader(descriptor, _tell, arrived)
    try:
        await arrived
    finally:
        loop.remove_reader(descriptor)


async def connect(sock: socket.socket, where: Any) -> None:
    """Connect a non-blocking socket to an address that needs no looking up. Raises OSError.

    As ``loop.sock_connect``, but that looks at the address once more, and both loops take a
    Unix socket whose queue is full for connected: here it is BlockingIOError.
    """
    failure = sock.connect_ex(where)
    if failure == errno.EINPROGRESS:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[None] = loop.create_future()
        descriptor = sock.fileno()
        loop.add_writer(descriptor, _tell, answered)
        try:
            await answered
        finally:
            loop.remove_writer(descriptor)
        failure = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if failure:
        raise OSError(failure, os.strerror(failure))


def _tell(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
