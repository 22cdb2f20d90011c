"""The way out: waiting for room, and for the end.

The switch to TLS has its tests in tests/runtime/test_starttls.py.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

import netkit

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
MUCH = b"x" * 16_000_000
"""Bytes that no socket buffer takes."""


class Peer:
    """The other side."""

    def __init__(self, server: netkit.Server) -> None:
        host, _, port = server.addresses[0].removeprefix("tcp://").rpartition(":")
        self.sock = socket.create_connection((host, int(port)))
        self.sock.setblocking(False)

    async def read(self, size: int) -> None:
        loop = asyncio.get_running_loop()
        while size:
            size -= len(await loop.sock_recv(self.sock, min(size, 1_000_000)))

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, Peer]]:
    """A handler's streams, and the peer's socket."""
    given: asyncio.Future[Streams] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        given.set_result((reader, writer))
        await done.wait()

    async with netkit.serve(handle) as server:
        peer = Peer(server)
        try:
            yield *(await given), peer
        finally:
            peer.sock.close()
            done.set()


async def held_up(writer: asyncio.StreamWriter, drains: int = 1) -> list[asyncio.Task[None]]:
    """Write more than there is room for, and begin so many drains, which wait."""
    writer.write(MUCH)
    draining = [asyncio.create_task(writer.drain()) for _ in range(drains)]
    for _ in range(5):
        await asyncio.sleep(0)  # a turn of the loop
    assert not any(each.done() for each in draining)
    return draining


async def test_all_who_drain_wait_until_there_is_room() -> None:
    async with connected() as (_, writer, peer):
        await writer.drain()
        draining = await held_up(writer, 3)
        draining[1].cancel()
        await peer.read(len(MUCH))
        await draining[0]
        await draining[2]
        assert draining[1].cancelled()
        await writer.drain()


async def test_a_reset_is_told_to_who_drains() -> None:
    async with connected() as (reader, writer, peer):
        (draining,) = await held_up(writer)
        peer.reset()
        with pytest.raises(ConnectionError):
            await draining
        with pytest.raises(ConnectionError):
            await writer.drain()
        with pytest.raises(ConnectionError):
            await reader.read(1)
        with pytest.raises(ConnectionError):
            await writer.wait_closed()


async def test_an_end_in_order_is_told_to_who_drains() -> None:
    async with connected() as (_, writer, _):
        writer.close()
        await writer.wait_closed()
        with pytest.raises(ConnectionResetError, match=r"^Connection lost$"):
            await writer.drain()


async def test_who_closes_while_others_drain_lets_them_go() -> None:
    async with connected() as (_, writer, _):
        (draining,) = await held_up(writer)
        writer.transport.abort()
        await draining


async def test_a_writer_made_by_hand() -> None:
    """As it was done for STARTTLS before Python 3.11: with `asyncio.StreamWriter` itself."""
    async with connected() as (reader, writer, peer):
        transport = writer.transport
        own = asyncio.StreamWriter(
            transport, transport.get_protocol(), reader, asyncio.get_running_loop()
        )
        (draining,) = await held_up(own)
        await peer.read(len(MUCH))
        await draining
        own.close()
        await own.wait_closed()
