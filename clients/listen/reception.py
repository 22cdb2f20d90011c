"""Sockets, receivers and the cores behind them: opened together, closed together."""

from __future__ import annotations

import asyncio
import random
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self, cast

from netkit.addresses import Address as Written
from netkit.clients.listen.common import Common
from netkit.clients.listen.events import Address, Begun, Ended
from netkit.clients.listen.fast import FastReceiver
from netkit.clients.listen.feeds import Feeds
from netkit.clients.listen.hearing import Deliver, Ear, Hearing, Send
from netkit.clients.listen.raw import RawHearing
from netkit.clients.listen.receiver import Receiver
from netkit.clients.listen.settings import How, Where
from netkit.clients.listen.subscribing import Subscriber
from netkit.clients.listen.subscription import Happening, Left, Subscribed, Subscription
from netkit.errors import NetworkError
from netkit.feeds import sockets
from netkit.feeds.keys import load_opening
from netkit.peernames import written

GOODBYE = 1.0
"""Seconds for the answer to our leaving. Without one the subscription expires by itself."""


class Reception:
    """Listens for the length of an ``async with`` block.

    Made in a running loop. Raises `UsageError` for a key that does not serve, and on
    entering `UsageError`, `StartError` and `NetworkError` for addresses.
    `told` hears of feeds that begin and end, `happens` of what becomes of a subscription.
    `capture` puts an ear before ours that is given what comes to an address.
    """

    def __init__(
        self,
        where: Where,
        how: How,
        deliver: Deliver | None = None,
        *,
        told: Callable[[Begun | Ended], None] | None = None,
        happens: Callable[[Happening], None] | None = None,
        capture: Callable[[Ear, Address], Ear] | None = None,
    ) -> None:
        self.buffer = where.buffer
        """Bytes of receive buffer that the kernel granted to each socket."""
        self.hearing = _hearing(how, deliver, told)
        self._where, self._how = where, how
        self._happens = happens
        self._capture = capture
        self._receivers: list[Receiver | FastReceiver] = []
        self._sockets: list[socket.socket] = []
        self._names: list[Address] = []
        self._server: Address = ("", 0)
        self._dropped = 0
        self._subscriber: Subscriber | None = None
        self._left = asyncio.Event()

    async def bind(self) -> None:
        """Have the sockets, of which nothing is read before the block is entered."""
        where = self._where
        try:
            if where.subscribe:
                self._server, host = await _route(where.subscribe)
                # Only the broadcaster is told our port.
                every = "::" if len(self._server) == 4 else "0.0.0.0"  # noqa: S104  # see above
                self._bind(Written("udp", host=every), host)
            for address in where.addresses:
                self._bind(address)
        except BaseException:  # a cancellation too
            await self.close()
            raise

    async def __aenter__(self) -> Self:
        if not self._sockets:
            await self.bind()
        try:
            for sock in self._sockets:
                self._receivers.append(await self._receiver(sock))
            if self._where.subscribe and isinstance(self.hearing, Hearing):
                self._subscribe(self.hearing, self._receivers[0].send)
        except BaseException:  # a cancellation too
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def addresses(self) -> list[str]:
        """Where it listens, with the ports that the kernel chose."""
        return [written(sock.getsockname()) for sock in self._sockets]

    @property
    def dropped(self) -> int:
        """Datagrams that the kernel threw away since a socket's buffer was full."""
        return self._dropped + sum(map(_drops, self._sockets))

    @property
    def feeds(self) -> Feeds | None:
        """The feeds that are heard; None where they have no headers."""
        return self.hearing.feeds if isinstance(self.hearing, Hearing) else None

    async def close(self) -> None:
        """Leave, hear nothing more, deliver what was held back. May be called twice."""
        try:
            await self._leave()
        finally:
            self._dropped = self.dropped
            while self._receivers:
                await self._receivers.pop().close()
            while self._sockets:
                self._sockets.pop().close()  # those that no receiver has yet
            self.hearing.close()

    async def _leave(self) -> None:
        subscriber, self._subscriber = self._subscriber, None
        if subscriber is not None and subscriber.subscribed:
            subscriber.leave(asyncio.get_running_loop().time())
            with suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE):
                    await self._left.wait()

    def _bind(self, address: Written, host: str = "") -> None:
        where = self._where
        incoming = sockets.receiving(
            address, interface=where.interface, sources=where.sources, buffer=where.buffer
        )
        self._sockets.append(incoming.sock)
        self.buffer = min(self.buffer, incoming.buffer)
        name = incoming.sock.getsockname()
        self._names.append((host, *name[1:]) if host else name)

    async def _receiver(self, sock: socket.socket) -> Receiver | FastReceiver:
        ear: Ear = self.hearing
        if self._capture:
            ear = self._capture(ear, self._names[self._sockets.index(sock)])
        if self._how.offload and sys.platform == "linux":
            return FastReceiver(ear, sock)
        loop = asyncio.get_running_loop()
        _, receiver = await loop.create_datagram_endpoint(lambda: Receiver(ear), sock=sock)
        return receiver

    def _subscribe(self, hearing: Hearing, send: Send) -> None:
        now, rng = asyncio.get_running_loop().time(), random.SystemRandom()
        subscription = Subscription(self._where.subscribe_seconds, rng, now)

        def told(happening: Happening) -> None:
            if isinstance(happening, Subscribed):
                hearing.subscribed(happening.feed, happening.next, self._server, send)
            if isinstance(happening, Left):
                self._left.set()
            if self._happens:
                self._happens(happening)

        self._subscriber = Subscriber(subscription, lambda ask: send(ask, self._server), told)
        hearing.attend(self._subscriber)


def _hearing(
    how: How, deliver: Deliver | None, told: Callable[[Begun | Ended], None] | None
) -> Hearing | RawHearing:
    if how.raw:
        return RawHearing(deliver)
    opening = load_opening(how.key) if how.key else None
    common = Common(random.Random(), hold=how.hold, repair=how.repair)  # noqa: S311  # back-off
    return Hearing(Feeds(common, opening=opening), deliver, sealed=bool(opening), told=told)


async def _route(server: Written) -> tuple[Address, str]:
    """Where a broadcaster is, and the address of ours that it will see."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(server.host, server.port, type=socket.SOCK_DGRAM)
    except (socket.gaierror, UnicodeError):
        raise NetworkError(f"unknown host {server.host}: check the name") from None
    family, _, _, _, where = found[0]
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(where)  # a connected socket knows its route, and nothing is sent
        except OSError as error:
            raise NetworkError(f"no way to {server.authority}: {error.strerror}") from None
        return cast("Address", where), str(probe.getsockname()[0])


def _drops(sock: socket.socket) -> int:
    try:
        return sockets.dropped(sock) if sock.fileno() >= 0 else 0
    except OSError:  # not told on this system
        return 0
