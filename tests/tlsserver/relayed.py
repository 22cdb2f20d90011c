"""Both sides of a relay: a client whose TLS is in the test's hands, and upstreams that count."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

import netkit
from netkit import TLS, Limits, Proxy, Server
from netkit.servers.tls import Tls
from netkit.servers.tls.relay import Arrival, Departure
from netkit.tls import client_context

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER at 0 seconds: close() resets."""


@asynccontextmanager
async def relaying(
    *to: str,
    bind: str = "tls://127.0.0.1:0",
    tls: bool | TLS = False,
    grace: float = 3.0,
    limits: Limits | None = None,
    proxy: Proxy | None = None,
    **settings: Any,
) -> AsyncIterator[Server]:
    """``netkit serve tls --to …`` in this process."""
    service = Tls(to=to, **{"check_every": 0.0, **settings})
    async with netkit.serve(
        service, bind=bind, tls=tls, grace=grace, limits=limits, proxy=proxy
    ) as server:
        yield server


def port(server: Server) -> int:
    return server.endpoints[0].address.port


class Upstream(asyncio.Protocol):
    """One connection at an upstream, in the test's hands."""

    def __init__(self, accepted: asyncio.Queue[Upstream]) -> None:
        self.accepted = accepted
        self.got = bytearray()
        self.ended, self.lost = asyncio.Event(), asyncio.Event()
        self.error: Exception | None = None
        self.news = asyncio.Event()
        self.said_end = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.accepted.put_nowait(self)

    def data_received(self, data: bytes) -> None:
        self.got += data
        self.news.set()

    def eof_received(self) -> bool:
        self.ended.set()
        self.news.set()
        return not self.said_end

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self.lost.set()
        self.news.set()

    async def until(self, size: int) -> bytes:
        """What it got, once that is so much."""
        while len(self.got) < size and not self.lost.is_set():
            self.news.clear()
            await self.news.wait()
        return bytes(self.got)

    def end(self) -> None:
        """End our direction; when both are over, close."""
        self.said_end = True
        if self.ended.is_set():
            self.transport.close()
        else:
            self.transport.write_eof()

    def reset(self) -> None:
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.transport.abort()


class Upstreams:
    """A listening upstream; `to` is where."""

    def __init__(self, server: asyncio.Server, accepted: asyncio.Queue[Upstream]) -> None:
        self.server, self._accepted = server, accepted
        self.port = server.sockets[0].getsockname()[1]
        self.to = f"127.0.0.1:{self.port}"
        self.all: list[Upstream] = []

    async def accept(self) -> Upstream:
        taken = await self._accepted.get()
        self.all.append(taken)
        return taken


@asynccontextmanager
async def upstream() -> AsyncIterator[Upstreams]:
    """Something to stand in front of; what it has open at the end is dropped."""
    accepted: asyncio.Queue[Upstream] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Upstream(accepted), "127.0.0.1", 0)
    served = Upstreams(server, accepted)
    try:
        yield served
    finally:
        server.close()
        while not accepted.empty():
            served.all.append(accepted.get_nowait())
        for each in served.all:
            each.transport.abort()
            await each.lost.wait()
        await server.wait_closed()


class Client:
    """A TLS client that does with each record and each alert what the test wants."""

    def __init__(self, sock: socket.socket, tls: ssl.SSLObject | None, *bios: Any) -> None:
        self.sock, self.tls = sock, tls
        self._in, self._out = bios or (None, None)
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def connect(
        cls,
        server: Server,
        context: ssl.SSLContext | None = None,
        name: str = "localhost",
        *,
        plain: bool = False,
        receive: int | None = None,
    ) -> Client:
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setblocking(False)
        if receive:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        await loop.sock_connect(sock, ("127.0.0.1", port(server)))
        if plain:
            return cls(sock, None)
        bios = ssl.MemoryBIO(), ssl.MemoryBIO()
        if context is None:
            context = client_context(insecure=True)
        client = cls(sock, context.wrap_bio(*bios, server_hostname=name), *bios)
        await client._do(client.tls.do_handshake)  # type: ignore[union-attr]  # made above
        return client

    async def send(self, data: bytes) -> None:
        if self.tls is not None:
            self.tls.write(data)
            data = self._out.read()
        await self._loop.sock_sendall(self.sock, data)

    async def send_byte_by_byte(self, data: bytes) -> None:
        assert self.tls is not None
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.tls.write(data)
        record = self._out.read()
        for place in range(len(record)):
            await self._loop.sock_sendall(self.sock, record[place : place + 1])

    async def end(self) -> None:
        """End our direction: close_notify or FIN, and nothing more."""
        if self.tls is None:
            self.sock.shutdown(socket.SHUT_WR)
            return
        with suppress(ssl.SSLWantReadError):  # the peer's own has not come
            self.tls.unwrap()
        await self._loop.sock_sendall(self.sock, self._out.read())

    async def read(self) -> bytes:
        """What comes next; empty at an end in order. Raises SSLEOFError, ConnectionResetError."""
        if self.tls is None:
            return await self._loop.sock_recv(self.sock, 65_536)
        try:
            data: bytes = await self._do(lambda: self.tls.read(65_536))
        except ssl.SSLZeroReturnError:
            return b""
        return data

    async def exactly(self, size: int) -> bytes:
        got = bytearray()
        while len(got) < size:
            data = await self.read()
            assert data, f"ended after {len(got)} bytes of {size}"
            got += data
        return bytes(got)

    async def rest(self) -> bytes:
        """Everything up to an end in order."""
        got = bytearray()
        while data := await self.read():
            got += data
        return bytes(got)

    async def cut_off(self) -> bytes:
        """Everything up to an end that is not in order, which there must be."""
        got = bytearray()
        with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):  # noqa: PT012  # up to that
            while True:
                data = await self.read()
                assert data, "it ended in order"
                got += data
        return bytes(got)

    def end_rudely(self) -> None:
        """A FIN without close_notify, as whoever is on the way could send it."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.sock.close()

    def close(self) -> None:
        self.sock.close()

    async def _do(self, action: Any) -> Any:
        while True:
            try:
                return action()
            except ssl.SSLWantReadError:
                if self._out.pending:
                    await self._loop.sock_sendall(self.sock, self._out.read())
                data = await self._loop.sock_recv(self.sock, 65_536)
                if data:
                    self._in.write(data)
                else:
                    self._in.write_eof()
            finally:
                if self._out.pending:
                    await self._loop.sock_sendall(self.sock, self._out.read())


async def both_ends(server: Server) -> tuple[Any, Any]:
    """The transports of the only relay: the client's, the upstream's."""
    service: Any = server.service
    while len(service._relays._ends) < 2:
        await asyncio.sleep(0)  # a turn of the loop
    ends = service._relays._ends
    (arrival,) = (each for each in ends if isinstance(each, Arrival))
    (departure,) = (each for each in ends if isinstance(each, Departure))
    return arrival.transport, departure.transport


def hear(caplog: pytest.LogCaptureFixture) -> None:
    """Have log and access log written."""
    caplog.set_level(logging.INFO, "netkit")


def access(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.name == "netkit.access"]


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What is said of upstreams."""
    return [
        each.getMessage()
        for each in caplog.records
        if each.name == "netkit.server" and "upstream" in each.getMessage()
    ]


async def why(server: Server, caplog: pytest.LogCaptureFixture) -> str:
    """Wait until no connection is open; how the only one has ended."""
    await server.connections.emptied()
    (line,) = (each for each in access(caplog) if f" > {server.addresses[0]} " in each)
    return line.partition(" s, ")[2].partition(": ")[2]


def figure(server: Server, name: str) -> float:
    """What is counted by that name, of all upstreams together."""
    found = server.service.figures()[name]
    if isinstance(found, Mapping):
        return sum(found["upstream"].values())
    return found


def free_port() -> int:
    """Where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found
