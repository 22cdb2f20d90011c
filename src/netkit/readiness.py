"""Waiting until a socket can be read, where no transport has it yet."""

from __future__ import annotations

import asyncio
import socket


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


def _tell(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
