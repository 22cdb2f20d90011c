"""The other end of netkit's TLS transport: OpenSSL in memory, and what our end is told."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from netkit.tls import client_context
from netkit.tls.secured import secure
from netkit.tls.shaking import Shaking
from netkit.tls.transport import RECORD, TLSTransport
from tests.handshakes import local

CONNECT = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

SMALL = 16_384
"""Bytes that the kernel keeps for each direction, so that there soon is no room."""


class Heard(asyncio.Protocol):
    """Remembers all that it is told."""

    def __init__(self, *, stay_open: bool = False) -> None:
        self.stay_open = stay_open
        self.data = bytearray()
        self.events: list[str] = []
        self.error: Exception | None = None
        self.news = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.news.set()

    def eof_received(self) -> bool:
        self.tell("eof")
        return self.stay_open

    def pause_writing(self) -> None:
        self.tell("pause")

    def resume_writing(self) -> None:
        self.tell("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self.tell("lost")

    def tell(self, event: str) -> None:
        self.events.append(event)
        self.news.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for news until that holds."""
        while not holds():
            self.news.clear()
            await self.news.wait()

    async def got(self, size: int) -> bytes:
        await self.until(lambda: len(self.data) >= size)
        taken = bytes(self.data[:size])
        del self.data[:size]
        return taken

    async def happened(self, event: str) -> None:
        await self.until(lambda: event in self.events)


class Buffered(Heard, asyncio.BufferedProtocol):
    """The same with a buffer of its own, of any size."""

    def __init__(self, size: int, *, stay_open: bool = False) -> None:
        super().__init__(stay_open=stay_open)
        self.buffer = bytearray(size)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self.buffer[:nbytes]))


class Peer:
    """The client: OpenSSL in memory, and a socket on which the test sees each byte."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.loop = asyncio.get_running_loop()

    async def shake(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self.flush()
                await self.hear()
            else:
                return await self.flush()

    async def flush(self) -> None:
        await self.loop.sock_sendall(self.sock, self.outgoing.read())

    async def hear(self) -> None:
        data = await self.loop.sock_recv(self.sock, 65_536)
        self.incoming.write(data) if data else self.incoming.write_eof()

    async def write(self, data: bytes) -> None:
        self.tls.write(data)
        await self.flush()

    async def read(self) -> bytes:
        """What comes next; empty at close_notify. Raises SSLEOFError at an end without it."""
        while True:
            try:
                return self.tls.read(RECORD)
            except ssl.SSLWantReadError:
                await self.hear()
            except ssl.SSLZeroReturnError:  # after our own close_notify
                return b""

    async def exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = await self.read()
            assert piece
            data += piece
        return data

    async def say_end(self) -> None:
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.unwrap()
        await self.flush()


class Accepted(Shaking):
    """Our end, from its handshake on: a transport with the protocol follows at once."""

    def __init__(self, protocol: Any, peername: Any) -> None:
        self.protocol = protocol
        self.peername = peername
        self.transport: asyncio.Future[TLSTransport] = asyncio.get_running_loop().create_future()

    def shaken(self, watched: bool) -> None:
        transport = TLSTransport(self._secured, {"peername": self.peername}, watched=watched)
        transport.set_protocol(self.protocol)
        self.protocol.connection_made(transport)
        transport.begin()
        self.transport.set_result(transport)

    def failed(self, error: OSError) -> None:
        self.transport.set_exception(error)


Pair = tuple[Peer, TLSTransport, Any]


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a connection, which do not block."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = socket.create_connection(listening.getsockname())
        theirs, _ = listening.accept()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


@asynccontextmanager
async def connected(
    protocol: Any, version: str = "1.3", *, small: bool = False
) -> AsyncIterator[Pair]:
    """A peer, and the transport that it talks to; both are closed at the end."""
    theirs, ours = tcp_pair()
    for sock in (ours, theirs):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF) if small else ():
            sock.setsockopt(socket.SOL_SOCKET, option, SMALL)
    server = local().context
    context = client_context()
    context.maximum_version = CONNECT[version]
    peer = Peer(theirs, context)
    accepted = Accepted(protocol, theirs.getsockname())
    accepted.shake_hands(secure(ours, server, server_side=True))
    await peer.shake()
    transport = await accepted.transport
    try:
        yield peer, transport, protocol
    finally:
        transport.abort()
        await protocol.happened("lost")
        await asyncio.sleep(0)  # it closes its socket after it has said so
        theirs.close()
