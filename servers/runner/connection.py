"""One connection: who it is, and which of the two ways it speaks."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import cast

from netkit import describe
from netkit.servers.runner.callers import caller
from netkit.servers.runner.framed import Framed
from netkit.servers.runner.house import House
from netkit.servers.runner.speaking import Session
from netkit.servers.runner.typed import Typed

LINGER = 10.0
"""Seconds for a client to take what was written before its connection was closed."""

KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""A client that has lost its network is gone in a minute, and with it its jobs."""


class Connection(asyncio.Protocol):
    """Ties a transport to a session: frames begin with a zero byte, lines with a letter."""

    def __init__(self, house: House) -> None:
        self.paused = self.closing = False
        self._house = house
        self._session: Session | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Find out who it is."""
        self._transport = cast("asyncio.Transport", transport)
        self.caller = caller(transport)
        self.peer = _written(transport.get_extra_info("peername"))
        describe(transport, str(self.caller or "nobody"))
        _keep_alive(transport)

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        if self.closing:
            return
        if self._session is None:
            self._session = self._chosen(data[:1])
            if self.caller is None:
                self._session.refuse_all()
                return
        self._session.received(data)

    def eof_received(self) -> bool:
        """Hear that the client has ended its side; TLS knows no half-open connection."""
        if self.closing or self._session is None or not self._session.ended():
            return False
        return self._transport.get_extra_info("sslcontext") is None

    def pause_writing(self) -> None:
        """Send no output, and take nothing more from a client that does not read."""
        self.paused = True
        if not self.closing:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self.paused = False
        if self._session:
            self._session.writable()
        if not self.closing and not self.paused:
            self._transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """Let go of what it has begun."""
        self.closing = True
        if self._timer:
            self._timer.cancel()
        if self._session:
            self._session.lost()

    def write(self, data: bytes) -> None:
        """See `Speaker`."""
        if data and not self.closing:
            self._transport.write(data)

    def finish(self) -> None:
        """See `Speaker`."""
        if self.closing:
            return
        self.closing = True
        self._transport.close()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(LINGER, self._transport.abort)

    def _chosen(self, first: bytes) -> Session:
        return Typed(self, self._house) if first != b"\0" else Framed(self, self._house)


def _written(name: object) -> str:
    if isinstance(name, tuple) and len(name) >= 2:
        host, port = name[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return "unix"


def _keep_alive(transport: asyncio.BaseTransport) -> None:
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family == socket.AF_UNIX:
        return
    with suppress(OSError):  # it may be gone already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEPALIVE.items():
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
