"""Clients that send numbered lines to an echo server and check what comes back."""

from __future__ import annotations

import asyncio
import socket
import ssl
from itertools import count
from typing import Self

WINDOW = 8
"""Lines on their way at once, so that some always are."""


class Talker:
    """One client on a non-blocking socket; what it sends is ``0\\n1\\n2\\n…``."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sent = 0
        """Lines of which every byte has been handed to the kernel."""
        self.received = b""
        self.ended = False
        """Whether the end of the server's output has come."""
        self._moved = asyncio.Event()

    @classmethod
    async def connect(cls, port: int) -> Self:
        """Connect to an echo server on loopback."""
        sock = socket.socket()
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        return cls(sock)

    @property
    def answered(self) -> int:
        """Whole lines that have come back."""
        return self.received.count(b"\n")

    async def talk(self, silent: asyncio.Event) -> None:
        """Send until `silent` is set, and receive until the server's end of output; close."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send(silent))
            group.create_task(self._receive())
        self.sock.close()

    async def answers(self, lines: int) -> None:
        """Wait until so many lines have come back."""
        while self.answered < lines:
            assert not self.ended, "the server ended the connection"
            self._moved.clear()
            await self._moved.wait()

    def check(self) -> None:
        """What came back is what was sent, from the beginning and without a gap."""
        sent = b"".join(b"%d\n" % number for number in range(self.sent))
        assert sent.startswith(self.received)

    async def _send(self, silent: asyncio.Event) -> None:
        for number in count():
            while number - self.answered >= WINDOW and not (self.ended or silent.is_set()):
                self._moved.clear()
                await self._moved.wait()
            if self.ended or silent.is_set():
                return
            await self.write(b"%d\n" % number)
            self.sent = number + 1

    async def _receive(self) -> None:
        while data := await self.read():
            self.received += data
            self._moved.set()
        self.ended = True
        self._moved.set()

    async def write(self, data: bytes) -> None:
        """Hand bytes to the kernel."""
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def read(self) -> bytes:
        """Return what came; empty at the end of the server's output."""
        return await asyncio.get_running_loop().sock_recv(self.sock, 65_536)


class SecureTalker(Talker):
    """The same over TLS. An end without close_notify raises `ssl.SSLEOFError` (RFC 8446 6.1)."""

    tls: ssl.SSLObject
    """Set by `secure`."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

    async def secure(self, context: ssl.SSLContext) -> None:
        """Shake hands with ``localhost``."""
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            else:
                return await self._flush()

    async def write(self, data: bytes) -> None:
        """See `Talker`."""
        self.tls.write(data)
        await self._flush()

    async def read(self) -> bytes:
        """See `Talker`."""
        while True:
            try:
                return self.tls.read(65_536)
            except ssl.SSLWantReadError:
                await self._fill()
            except ssl.SSLZeroReturnError:
                return b""

    async def _flush(self) -> None:
        if data := self._outgoing.read():
            await super().write(data)

    async def _fill(self) -> None:
        if data := await super().read():
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
