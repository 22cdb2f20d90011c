"""A connection whose header has not come yet: its time, its end, and nonsense instead."""

from __future__ import annotations

import asyncio
import random
import socket
from pathlib import Path

import pytest

from netkit import Limits, Server
from tests.proxy import encoder
from tests.proxy.encoder import BLOCK, LINE, LOCAL
from tests.proxy.served import (
    REAL,
    Tell,
    arrived,
    behind,
    connect,
    end,
    ended,
    hear,
    lines,
    rest,
)


async def test_a_server_that_speaks_first_waits_for_the_header() -> None:
    loop = asyncio.get_running_loop()
    async with behind("127.0.0.1") as server:
        sock = await connect(server, LINE[:-1])
        reading = loop.create_task(loop.sock_recv(sock, 100))
        await arrived(server)
        assert not reading.done()
        await loop.sock_sendall(sock, LINE[-1:])
        assert await reading == REAL
        end(sock)
        assert await rest(sock) == b""


async def test_a_proxy_that_says_nothing_has_its_time(caplog: pytest.LogCaptureFixture) -> None:
    hear(caplog)
    async with behind("127.0.0.1", limits=Limits(handshake=0.1)) as server:
        sock = await connect(server, LINE[:20])
        assert await rest(sock) == b""
        (line,) = await ended(server, caplog)
        assert line.endswith(": no PROXY header within 0.1 s (--limit-handshake)")


async def test_a_proxy_that_resets(caplog: pytest.LogCaptureFixture) -> None:
    hear(caplog)
    async with behind("127.0.0.1") as server:
        sock = await connect(server, LINE[:20])
        await arrived(server)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()
        (line,) = await ended(server, caplog)
        assert line.endswith(": Connection reset by peer before its PROXY header")


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("grace", [0, 5])
async def test_drain_before_the_header(
    tls: bool, grace: float, caplog: pytest.LogCaptureFixture, own_certificates: Path
) -> None:
    hear(caplog)
    async with behind("127.0.0.1", bind=f"{'tls' if tls else 'tcp'}://127.0.0.1:0") as server:
        sock = await connect(server, LINE[:20])
        await arrived(server)
        reading = asyncio.create_task(rest(sock))
        await server.stop(grace)
        assert await reading == b""
        (line,) = lines(caplog)
        assert line.endswith(": server shut down")


async def test_a_header_that_comes_during_drain_is_served() -> None:
    class Slow(Tell):
        def eof_received(self) -> None:
            self.transport.write(b"bye\n")

    async with behind("127.0.0.1", target=Slow) as server:
        sock = await connect(server, LINE[:20])
        await arrived(server)
        stopping = asyncio.create_task(server.stop(5))
        await asyncio.sleep(0)  # a turn, in which the drain begins
        await asyncio.get_running_loop().sock_sendall(sock, LINE[20:])
        assert await rest(sock) == REAL + b"bye\n"
        await stopping


async def test_one_that_is_cut_before_its_header(caplog: pytest.LogCaptureFixture) -> None:
    hear(caplog)
    async with behind("127.0.0.1") as server:
        sock = await connect(server, LINE[:20])
        await arrived(server)
        (connection,) = server.connections.open.values()
        assert connection.unsent() == 0
        assert not connection.vanished()
        connection.cut()
        assert await rest(sock) == b""
        (line,) = await ended(server, caplog)
        assert line.endswith(": shut down before its PROXY header")


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_random_beginnings_leave_nothing_behind(
    tls: bool, caplog: pytest.LogCaptureFixture, own_certificates: Path
) -> None:
    hear(caplog)
    chance = random.Random("proxies")
    headers = (LINE, BLOCK, LOCAL, encoder.with_checksum(BLOCK), b"PROXY UNKNOWN\r\n")

    async def misbehave(server: Server) -> None:
        header = bytearray(chance.choice(headers))
        for _ in range(chance.choice((0, 0, 1, 3))):
            header[chance.randrange(len(header))] = chance.randrange(256)
        data = header[: chance.choice((0, 5, 20, 99))] + chance.randbytes(chance.choice((0, 50)))
        sock = await connect(server, bytes(data))
        if chance.random() < 0.3:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            sock.close()
        else:
            end(sock)
            await rest(sock)

    async with behind("127.0.0.1", bind=f"{'tls' if tls else 'tcp'}://127.0.0.1:0") as server:
        for _ in range(20):
            await asyncio.gather(*(misbehave(server) for _ in range(16)))
        said = await ended(server, caplog)
        assert len(said) == server.connections.accepted
        assert not [each for each in caplog.records if each.levelname in ("WARNING", "ERROR")]
