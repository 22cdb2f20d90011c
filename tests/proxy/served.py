"""A server behind proxies, in this process, that says what it sees of a connection."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from netkit import TLS, Limits, Server, addresses, endpoints
from netkit.targets import as_service
from netkit.trust import Proxy

REAL = b"('203.0.113.9', 5000) ('198.51.100.1', 443) PROXY\n"
"""What is seen behind the header of `encoder.LINE` or `encoder.BLOCK`."""


def seen(extra: Any) -> bytes:
    """What ``get_extra_info`` says, as one line."""
    header = extra("proxy_header")
    command = header.command if header is not None else None
    return f"{extra('peername')} {extra('sockname')} {command}\n".encode()


async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say what is seen, then echo."""
    writer.write(seen(writer.get_extra_info))
    while data := await reader.read(100):
        writer.write(data)
        await writer.drain()


class Tell(asyncio.Protocol):
    """The same as a protocol."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(Any, transport)
        self.transport.write(seen(transport.get_extra_info))

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class TellBuffered(asyncio.BufferedProtocol):
    """The same as a buffered protocol."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(Any, transport)
        self.buffer = bytearray(16)
        self.transport.write(seen(transport.get_extra_info))

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.transport.write(bytes(self.buffer[:nbytes]))


TARGETS = (tell, Tell, TellBuffered)


@asynccontextmanager
async def behind(
    *trusted: str,
    target: object = tell,
    bind: str = "tcp://127.0.0.1:0",
    limits: Limits | None = None,
) -> AsyncIterator[Server]:
    """Serve until the block's end."""
    server = Server(
        as_service(target),
        endpoints.bind(addresses.parse(bind)),
        tls=TLS(tls=True).load() if bind.startswith("tls") else None,
        limits=limits,
        proxy=Proxy(trusted),
    )
    async with server:
        yield server


def port(server: Server) -> int:
    """Its port."""
    return server.endpoints[0].address.port


async def connect(server: Server, data: bytes = b"", source: str = "127.0.0.1") -> socket.socket:
    """Connect to it and send the first bytes."""
    loop = asyncio.get_running_loop()
    address = server.endpoints[0].address
    unix = address.scheme == "unix"
    sock = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
    sock.setblocking(False)
    if not unix:
        sock.bind((source, 0))
    await loop.sock_connect(sock, address.path if unix else ("127.0.0.1", address.port))
    await loop.sock_sendall(sock, data)
    return sock


async def rest(sock: socket.socket) -> bytes:
    """Everything up to the end, or the reset; then close."""
    loop = asyncio.get_running_loop()
    received = b""
    with sock:
        try:
            while data := await loop.sock_recv(sock, 65_536):
                received += data
        except ConnectionResetError:
            pass
    return received


def end(sock: socket.socket) -> None:
    """Send the end of input."""
    sock.shutdown(socket.SHUT_WR)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The access log."""
    return [each.getMessage() for each in caplog.records if each.name == "netkit.access"]


async def ended(server: Server, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Wait until no connection is open; the access log."""
    await server.connections.emptied()
    return lines(caplog)


def hear(caplog: pytest.LogCaptureFixture) -> None:
    """Have the access log written."""
    caplog.set_level(logging.INFO, "netkit")


async def arrived(server: Server) -> None:
    """Let the loop turn until the server has a connection."""
    while not server.connections.open:
        await asyncio.sleep(0)  # a turn of the loop
