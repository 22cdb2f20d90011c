"""What an author says of a connection: over every transport, to every kind of author's code."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

import netkit
from netkit import Proxy, Server
from netkit.certificates.develop import development
from netkit.observability.listing import listing

HEADER = b"PROXY TCP4 203.0.113.9 198.51.100.1 5000 443\r\n"


def describing(author: Any) -> Callable[[bytes], None]:
    """Says what comes, and how often it was asked."""

    def describe(data: bytes) -> None:
        text, asked = data.decode(), iter(range(100))
        netkit.describe(author, text if text != "when asked" else lambda: f"asked {next(asked)}")

    return describe


async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Let the peer say what is said of it."""
    netkit.describe(writer, "nothing yet")
    describe = describing(writer)
    while line := await reader.readline():
        describe(line.rstrip(b"\n"))
        writer.write(line)


class Plain(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        netkit.describe(transport, "nothing yet")
        self.describe = describing(transport)

    def data_received(self, data: bytes) -> None:
        self.describe(data.rstrip(b"\n"))
        self.transport.write(data)


class Buffered(asyncio.BufferedProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.buffer = bytearray(1000)
        netkit.describe(transport, "nothing yet")
        self.describe = describing(transport)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        data = bytes(self.buffer[:nbytes])
        self.describe(data.rstrip(b"\n"))
        self.transport.write(data)


async def connect(
    server: Server, header: bytes
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = server.endpoints[0].address
    if address.scheme == "unix":
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address.path)
    else:
        sock = socket.create_connection(("127.0.0.1", address.port))
        sock.setblocking(False)
    sock.send(header)
    if address.scheme != "tls":
        return await asyncio.open_connection(sock=sock)
    context = ssl.create_default_context(cafile=str(development().ca))
    return await asyncio.open_connection(sock=sock, ssl=context, server_hostname="localhost")


def says(server: Server) -> Any:
    (listed,) = listing(server.connections)
    return listed["says"]


@pytest.mark.parametrize("target", [handle, Plain, Buffered])
@pytest.mark.parametrize("header", [b"", HEADER], ids=["direct", "proxied"])
@pytest.mark.parametrize("scheme", ["tcp", "tls", "unix"])
async def test_what_is_said(target: Any, header: bytes, scheme: str, tmp_path: Path) -> None:
    bind = f"unix:{tmp_path}/s" if scheme == "unix" else f"{scheme}://127.0.0.1:0"
    proxy = Proxy(("127.0.0.1", "unix")) if header else None
    async with netkit.serve(target, bind=bind, tls=scheme == "tls", proxy=proxy) as server:
        reader, writer = await connect(server, header)
        for line, expected in (
            (b"hello", "hello"),
            (b"when asked", "asked 0"),
            (b"\x1b[2J\tlong " + b"x" * 900, "[2Jlong " + "x" * 192),
        ):
            writer.write(line + b"\n")
            assert await reader.readline() == line + b"\n"
            assert says(server) == expected
        writer.close()
        await writer.wait_closed()


async def test_nothing_is_asked_before_somebody_wants_to_know(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls = []

    def fail() -> str:
        calls.append(1)
        raise LookupError("no such thing")

    async def failing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        netkit.describe(writer, fail)
        writer.write(await reader.readline())
        await reader.readline()
        netkit.describe(writer, "")
        writer.write(b"taken back\n")
        await reader.read()

    async with netkit.serve(failing) as server:
        reader, writer = await connect(server, b"")
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        assert not calls
        with caplog.at_level(logging.DEBUG, "netkit.server"):
            assert says(server) is None
        (record,) = [each for each in caplog.records if "describes" in each.getMessage()]
        assert record.levelno == logging.DEBUG
        writer.write(b"take it back\n")
        assert await reader.readline() == b"taken back\n"
        assert says(server) is None
        assert len(calls) == 1
        writer.close()
        await writer.wait_closed()


async def test_a_connection_that_says_nothing_holds_nothing() -> None:
    async def quiet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await reader.read()

    async with netkit.serve(quiet) as server:
        reader, writer = await connect(server, b"hello\n")
        assert await reader.readline() == b"hello\n"
        assert says(server) is None
        (connection,) = server.connections.open.values()
        assert "says" not in vars(connection)
        writer.close()
        await writer.wait_closed()


async def test_it_does_nothing_without_netkit() -> None:
    over = asyncio.Event()

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        netkit.describe(writer, "a talk")
        netkit.describe(writer.transport, lambda: "a talk")
        writer.close()
        writer.transport.close()
        netkit.describe(writer, "over")
        await writer.wait_closed()
        netkit.describe(writer, "over")
        over.set()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await reader.read() == b""
        await over.wait()
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("tls", [False, True])
async def test_it_may_be_said_to_the_end_and_after(tls: bool) -> None:
    ends: list[asyncio.StreamWriter] = []

    async def ending(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        writer.transport.close()
        netkit.describe(writer, "ends")
        ends.append(writer)

    async with netkit.serve(ending, tls=tls) as server:
        _, writer = await connect(server, b"")
        writer.close()
        await writer.wait_closed()
        await server.connections.emptied()
        netkit.describe(ends.pop(), "has ended")


async def test_what_is_no_text_is_refused() -> None:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    with theirs, pytest.raises(TypeError, match="give a str or what makes one, no bytes"):
        netkit.describe(transport, b"a talk")  # type: ignore[arg-type]  # what is tested
    transport.close()
