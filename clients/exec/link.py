"""Frames over a connection."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from contextlib import suppress
from typing import Self, TypeVar

from netkit.clients.connect.channel import Channel
from netkit.clients.connect.dialing import Route, dial
from netkit.clients.connect.failures import explain
from netkit.errors import NetkitError, NetworkError
from netkit.jobs.frames import VERSION, Frame, FrameError, Frames, Kind
from netkit.jobs.messages import Error, Hello, decode, encode
from netkit.version import __version__

M = TypeVar("M")

WINDOW = 256 * 1024
"""Bytes of output that may be on their way to us."""

PING = 60.0
"""Seconds between two signs of life: a server ends connections that are silent for long."""

KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""A server that has vanished without a word is found out in a minute."""


class FailedError(NetkitError):
    """What was asked for did not come to its end, and not by the program's doing."""

    exit_code = 255  # as ssh has it: no program's own, or hardly any


class LostError(FailedError):
    """The connection ended before what it was for."""


class Link:
    """A connection to a runner, greeted. `close` closes it."""

    def __init__(self, channel: Channel, route: Route) -> None:
        self._channel, self._route = channel, route
        self._frames = Frames()
        self._arrived: deque[Frame] = deque()
        self.window = 0
        """Bytes of input that the server takes before it grants more."""

    @classmethod
    async def open(cls, route: Route) -> Self:
        """Connect and greet. Raises `FailedError`; `CertificateError` and `UsageError` too."""
        try:
            channel = await dial(route)
        except NetworkError as error:
            raise FailedError(str(error)) from None
        link = cls(channel, route)
        _keep_alive(channel)
        try:
            async with asyncio.timeout(route.timeout):
                await link._greet()
        except TimeoutError:
            await link.close()
            raise FailedError(f"{route.address} does not answer as a runner does") from None
        except BaseException as error:  # a cancellation too
            await link.close()
            if isinstance(error, LostError) and route.context:
                # TLS 1.3: a server looks at our certificate when we believe to be connected.
                raise FailedError(f"{error}; it may want a certificate of ours: --cert") from None
            raise
        return link

    async def send(self, kind: Kind, payload: bytes = b"", *, job: int = 1) -> None:
        """Send a frame, no faster than it is taken. One that comes too late is lost."""
        with suppress(BrokenPipeError):  # reading says why
            await self._channel.write(Frame(kind, job, payload).pack())

    async def receive(self) -> Frame:
        """Wait for the next frame. Raises `FailedError`, for an ERROR of the connection too."""
        while not self._arrived:
            try:
                data = await self._channel.read()
                if data is None:
                    raise LostError(f"connection to {self._route.address} lost")
                self._arrived.extend(self._frames.feed(data))
            except OSError as error:
                why = explain(error, self._route.address, self._route.name)
                raise LostError(str(why)) from None
            except FrameError as error:
                raise FailedError(f"{self._route.address} is no runner: {error}") from None
        frame = self._arrived.popleft()
        if frame.kind is Kind.ERROR and not frame.job:
            raise FailedError(f"{self._route.address}: {_why(frame)}")
        return frame

    async def keep_alive(self) -> None:
        """Give signs of life, until cancelled."""
        while True:
            await asyncio.sleep(PING)  # the pace of the signs
            await self.send(Kind.PING, job=0)

    async def close(self) -> None:
        """Close the connection, which ends what is not detached."""
        await self._channel.abort()

    async def _greet(self) -> None:
        hello = Hello((VERSION,), WINDOW, f"netkit {__version__}")
        await self.send(Kind.HELLO, encode(hello), job=0)
        frame = await self.receive()
        if frame.kind is not Kind.HELLO:
            raise FailedError(f"{self._route.address} is no runner: it did not say HELLO")
        self.window = read(Hello, frame).window


def refusal(frame: Frame) -> FailedError:
    """What an ERROR frame for a job says."""
    return FailedError(_why(frame))


def read(cls: type[M], frame: Frame) -> M:
    """The message in a frame. Raises `FailedError`."""
    try:
        return decode(cls, frame.payload)
    except FrameError as error:
        raise FailedError(f"the server does not keep to the protocol: {error}") from None


def _why(frame: Frame) -> str:
    message = read(Error, frame).message
    return message if message.isprintable() else ascii(message)


def _keep_alive(channel: Channel) -> None:
    sock = channel.transport.get_extra_info("socket")
    if sock is None or sock.family == socket.AF_UNIX:
        return
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEPALIVE.items():
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
