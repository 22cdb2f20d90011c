"""A server that begins in the clear, in this process, and a client that has its own way with it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import netkit
from netkit import Server
from netkit.starttls import DIALOGUES, Name

NAMES: tuple[Name, ...] = tuple(DIALOGUES)
SWITCH: dict[Name, bytes] = {
    "imap": b"a STARTTLS\r\n",
    "irc": b"STARTTLS\r\n",
    "pop3": b"STLS\r\n",
    "smtp": b"STARTTLS\r\n",
}
GO_AHEAD: dict[Name, bytes] = {
    "imap": b"a OK ",
    "irc": b" 670 ",
    "pop3": b"+OK ",
    "smtp": b"220 ",
}
REFUSED: dict[Name, bytes] = {
    "imap": b"a BAD nothing may follow",
    "irc": b" 691 * :nothing may follow",
    "pop3": b"-ERR nothing may follow",
    "smtp": b"554 nothing may follow",
}


@dataclass
class Heard:
    """A target that keeps what it hears under TLS, and answers each line with it."""

    said: list[bytes] = field(default_factory=list)
    """Of each connection that got so far, all that came."""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(self.said)
        self.said.append(b"")
        while line := await reader.readline():
            self.said[number] += line
            writer.write(b"heard " + line)


@asynccontextmanager
async def serving(starttls: Name, target: object, **how: Any) -> AsyncIterator[Server]:
    """Serve in the clear until STARTTLS, on a free port."""
    bind = "tls://127.0.0.1:0"
    async with netkit.serve(target, bind=bind, tls=True, starttls=starttls, **how) as server:
        yield server


def port(server: Server) -> int:
    """Its port."""
    return server.endpoints[0].address.port


@dataclass
class Client:
    """A client that decides itself what goes into a packet."""

    sock: socket.socket
    trusted: Path
    unread: bytes = b""

    def __post_init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        context = ssl.create_default_context(cafile=self.trusted)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    async def send(self, data: bytes) -> None:
        """Send in the clear, in one piece."""
        await self.loop.sock_sendall(self.sock, data)

    async def receive(self) -> bytes:
        """What came in the clear; empty at the end and after a reset."""
        try:
            return await self.loop.sock_recv(self.sock, 65_536)
        except ConnectionResetError:
            return b""

    async def line(self) -> bytes:
        """The next line in the clear."""
        while b"\n" not in self.unread:
            data = await self.receive()
            assert data, f"ended after {self.unread!r}"
            self.unread += data
        line, _, self.unread = self.unread.partition(b"\n")
        return line

    async def rest(self) -> bytes:
        """Everything up to the end; then close."""
        while data := await self.receive():
            self.unread += data
        self.sock.close()
        return self.unread

    def hello(self) -> bytes:
        """The ClientHello."""
        with suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self.outgoing.read()

    async def under_tls(self, action: Callable[[], Any], *, send: int = 1 << 20) -> Any:
        """Do something with TLS, however often it takes; `send` bytes in a packet."""
        while True:
            try:
                result = action()
            except ssl.SSLWantReadError:
                result = None
            while data := self.outgoing.read(send):
                await self.send(data)
            if result is not None:
                return result
            data, self.unread = self.unread or await self.receive(), b""
            if data:
                self.incoming.write(data)
            else:
                self.incoming.write_eof()

    async def secure(self, *, send: int = 1 << 20) -> None:
        """Shake hands."""

        def shaken() -> bool:
            self.tls.do_handshake()
            return True

        await self.under_tls(shaken, send=send)

    async def ask(self, line: bytes) -> bytes:
        """Say a line under TLS and hear what comes back."""
        await self.under_tls(lambda: self.tls.write(line))
        answer: bytes = await self.under_tls(lambda: self.tls.read(1000))
        return answer


@asynccontextmanager
async def client(server: Server, certificates: Path) -> AsyncIterator[Client]:
    """Connect to it."""
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(sock, ("127.0.0.1", port(server)))
        yield Client(sock, certificates / "ca.pem")
