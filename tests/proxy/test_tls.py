"""The header comes before TLS, and the real peer stays known under it."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from netkit import TLS
from netkit.loops import is_uvloop
from tests.proxy.encoder import BLOCK, LINE
from tests.proxy.served import (
    REAL,
    TARGETS,
    Tell,
    behind,
    connect,
    ended,
    hear,
    port,
    rest,
)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("header", [LINE, BLOCK])
async def test_under_tls(
    target: object,
    header: bytes,
    caplog: pytest.LogCaptureFixture,
    own_certificates: Path,
) -> None:
    hear(caplog)
    async with behind("127.0.0.1", target=target, bind="tls://127.0.0.1:0") as server:
        context = ssl.create_default_context(cafile=own_certificates / "ca.pem")
        sock = await connect(server, header)
        reader, writer = await asyncio.open_connection(
            sock=sock, ssl=context, server_hostname="localhost"
        )
        assert await reader.readline() == REAL
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        writer.close()
        await writer.wait_closed()
        (line,) = await ended(server, caplog)
        assert line.startswith("203.0.113.9:5000 > tls://127.0.0.1:")
        assert ", TLSv1.3 " in line


async def test_a_stranger_under_tls(own_certificates: Path) -> None:
    async with behind("10.0.0.0/8", bind="tls://127.0.0.1:0") as server:
        context = ssl.create_default_context(cafile=own_certificates / "ca.pem")
        reader, writer = await asyncio.open_connection("localhost", port(server), ssl=context)
        own = writer.get_extra_info("sockname")
        assert await reader.readline() == f"{own} ('127.0.0.1', {port(server)}) None\n".encode()
        writer.close()
        await writer.wait_closed()


async def test_a_failed_handshake_names_the_real_peer(
    caplog: pytest.LogCaptureFixture, own_certificates: Path
) -> None:
    hear(caplog)
    async with behind("127.0.0.1", bind="tls://127.0.0.1:0") as server:
        sock = await connect(server, LINE + b"GET / HTTP/1.1\r\n\r\n")
        await rest(sock)
        (line,) = await ended(server, caplog)
        assert line.startswith("203.0.113.9:5000 > ")
        assert ": TLS handshake failed: " in line


class Upgrading(asyncio.Protocol):
    """STARTTLS at the first byte."""

    context: ssl.SSLContext

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(b"go\n")
        self.task = asyncio.get_running_loop().create_task(self.upgrade())

    async def upgrade(self) -> None:
        loop = asyncio.get_running_loop()
        carrier = self.transport
        if is_uvloop(loop):
            with pytest.raises(TypeError, match="not supported by start_tls"):
                await loop.start_tls(carrier, Tell(), self.context, server_side=True)
            carrier = carrier.inner
        protocol = Tell()
        secured = await loop.start_tls(carrier, protocol, self.context, server_side=True)
        assert secured is not None
        protocol.connection_made(secured)


async def test_start_tls(own_certificates: Path) -> None:
    Upgrading.context = TLS(tls=True).load().context
    client = ssl.create_default_context(cafile=own_certificates / "ca.pem")
    async with behind("127.0.0.1", target=Upgrading) as server:
        sock = await connect(server, LINE + b"STARTTLS\n")
        own = sock.getsockname()
        reader, writer = await asyncio.open_connection(sock=sock)
        assert await reader.readline() == b"go\n"
        await writer.start_tls(client, server_hostname="localhost")
        if is_uvloop(asyncio.get_running_loop()):
            assert await reader.readline() == f"{own} ('127.0.0.1', {port(server)}) None\n".encode()
        else:
            assert await reader.readline() == REAL
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        writer.close()
        await writer.wait_closed()
