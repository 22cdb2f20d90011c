"""The limits count the real peer, and connections from their acceptance."""

from __future__ import annotations

import asyncio
import socket

import pytest

from netkit import Limits
from tests.proxy import encoder
from tests.proxy.encoder import LINE
from tests.proxy.served import (
    REAL,
    behind,
    connect,
    end,
    hear,
    lines,
    rest,
)


async def test_one_address_has_so_many_connections_by_whatever_proxy(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hear(caplog)
    loop = asyncio.get_running_loop()
    async with behind("127.0.0.0/8", limits=Limits(per_address=2)) as server:

        async def come(host: str, proxy: str) -> tuple[socket.socket, bytes]:
            header = encoder.line((host, 5000), ("198.51.100.1", 443))
            sock = await connect(server, header, source=proxy)
            return sock, await loop.sock_recv(sock, 100)

        kept = [await come("203.0.113.9", "127.0.0.2"), await come("203.0.113.9", "127.0.0.3")]
        refused, said = await come("203.0.113.9", "127.0.0.2")
        refused.close()
        assert said == b""
        (line,) = lines(caplog)
        assert line.startswith("203.0.113.9:5000 > ")
        assert line.endswith(": refused: too many from its address (--limit-per-address)")
        assert server.connections.refused["per-address"] == 1
        kept.append(await come("203.0.113.10", "127.0.0.2"))
        end(kept[0][0])
        assert await rest(kept[0][0]) == b""
        kept.append(await come("203.0.113.9", "127.0.0.2"))
        for sock, said in kept[1:]:
            assert said.endswith(b"PROXY\n")
            end(sock)
            await rest(sock)


async def test_connections_that_came_while_counting_are_counted() -> None:
    loop = asyncio.get_running_loop()
    async with behind(limits=Limits(per_address=4, loopback=True)) as server:

        async def come(count: int) -> list[socket.socket]:
            socks = [await connect(server) for _ in range(count)]
            for sock in socks:
                assert await loop.sock_recv(sock, 100)
            return socks

        socks = await come(4)
        assert await rest(await connect(server)) == b""  # so that all are counted
        for sock in socks[:2]:
            end(sock)
            assert await rest(sock) == b""
        while len(server.connections.open) > 2:
            await asyncio.sleep(0)  # a turn of the loop
        socks = socks[2:] + await come(2)
        assert await rest(await connect(server)) == b""
        for sock in socks:
            end(sock)
            assert await rest(sock) == b""


async def test_no_more_are_open_than_the_limit() -> None:
    loop = asyncio.get_running_loop()
    async with behind("127.0.0.1", limits=Limits(connections=2)) as server:
        socks = [await connect(server, LINE + b"%d\n" % number) for number in range(6)]
        for number, sock in enumerate(socks):
            received = b""
            while received.count(b"\n") < 2:
                received += await loop.sock_recv(sock, 100)
                assert len(server.connections.open) <= 2
            assert received == REAL + b"%d\n" % number
            sock.close()
        assert server.connections.accepted == 6
