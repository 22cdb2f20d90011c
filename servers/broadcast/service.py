"""The broadcaster as `netkit serve` runs it: its settings, and how its parts fit together."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    aclosing,
    closing,
    nullcontext,
    suppress,
)
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar, Self

from netkit.addresses import Address
from netkit.errors import UsageError
from netkit.feeds import discovery, sockets
from netkit.feeds.cookies import Cookies
from netkit.feeds.discovery import Announced
from netkit.feeds.parity import Parity
from netkit.servers.broadcast import reading
from netkit.servers.broadcast.bucket import Bucket
from netkit.servers.broadcast.places import host_name, places
from netkit.servers.broadcast.repair import Repair
from netkit.servers.broadcast.routes import Audience, Route
from netkit.servers.broadcast.sender import Sender
from netkit.servers.broadcast.settings import Settings
from netkit.servers.broadcast.sources.command import printed
from netkit.servers.broadcast.sources.following import following
from netkit.servers.broadcast.sources.framing import TooLongError
from netkit.servers.broadcast.sources.ingest import Ingest
from netkit.servers.broadcast.sources.message import Template
from netkit.servers.broadcast.sources.replay import replayed
from netkit.servers.broadcast.sources.stdin import standard_input
from netkit.servers.broadcast.subscribers import Limits, Subscribers
from netkit.servers.broadcast.transmitter import Transmitter
from netkit.servers.broadcast.window import Window
from netkit.service import DatagramFactory, StreamHandler
from netkit.ticker import Ticker

log = logging.getLogger("netkit.server")

EXPIRY = 1.0
"""Seconds between looks at subscriptions."""


@dataclass
class Broadcast(Settings):
    """Send numbered datagrams to many: multicast, broadcast, unicast and subscribers."""

    port: ClassVar[int] = 9999
    one_process: ClassVar[bool] = True
    asks_for_interfaces: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._ingest = Ingest(self.framing, self.max_size)
        self._epoch = int(time.time())
        self._cookies = Cookies()
        self._ending = asyncio.Event()
        self._missed = 0

    def listens(self) -> Sequence[str]:
        """Where listeners subscribe, and where other programs hand in what to send."""
        if self.subscribe is None:
            return self.ingest
        return (*self.ingest, reading.subscription(self.subscribe))

    def stream(self) -> StreamHandler | None:
        """Take what other programs send to be broadcast."""
        return self._ingest.handle if self.ingest else None

    def datagram(self) -> DatagramFactory:
        """Take subscriptions."""
        return self._audience

    async def __aenter__(self) -> Self:
        self._transmitter = self._made()
        async with AsyncExitStack() as stack:
            for destination in self.destinations:
                outgoing = sockets.sending(
                    destination,
                    interface=self.interface,
                    hops=self.ttl,
                    loopback=self.multicast_loop,
                    dscp=self.code_point,
                )
                route = Route(outgoing, self._transmitter.received)
                await route.open()
                stack.callback(route.close)
                self._check_size(route, destination)
                self._transmitter.ways.append(route)
            self._routes = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._routes.aclose()

    async def run(self) -> None:
        """Send until the source ends, or we are told to; then tell the end of the feed."""
        async with self._announced():
            await self._broadcast()

    async def _broadcast(self) -> None:
        began = time.monotonic()
        feed = "raw" if self.raw else f"sender {self.name:08x}, epoch {self._epoch}"
        log.info("broadcasting to %s: %s", ", ".join(self.to) or "subscribers", feed)
        attending: asyncio.Task[Any] = asyncio.create_task(self._transmitter.attend())
        expiring = asyncio.create_task(self._expire())
        sending = asyncio.create_task(self._send_all())
        ending = asyncio.create_task(self._ending.wait())
        try:
            first, _ = await asyncio.wait(
                [sending, ending, attending, expiring], return_when=asyncio.FIRST_COMPLETED
            )
            for task in first:
                task.result()
            await ended([sending, ending])
            await self._transmitter.end()
        finally:
            await ended([sending, ending, attending, expiring])
            self._report(time.monotonic() - began)

    async def drain(self) -> None:
        """Hear that it is to end."""
        self._ending.set()

    def figures(self) -> Mapping[str, float]:
        """Count what an operator wants to know of a feed."""
        return {**self._transmitter.figures(), "broadcast_missed_ticks_total": self._missed}

    def _made(self) -> Transmitter:
        if self.raw:
            return Transmitter(None, None, self.bound)
        now = time.monotonic()
        window = Window(self.window) if self.window else None
        sender = Sender(
            self.name, self._epoch, now,
            sealing=self.sealing, window=window,
            parity=Parity(*self.block) if self.block else None,
        )  # fmt: skip
        repair = None
        if window is not None:
            bucket = Bucket(self.repair_bound, now)
            repair = Repair(
                self.name, self._epoch, window, bucket, sealing=self.sealing
            )  # fmt: skip
        return Transmitter(sender, repair, self.bound)

    def _audience(self) -> Audience:
        limits = Limits(most=self.max_subscribers)
        subscribers = Subscribers(self.name, self._epoch, self._cookies, limits)
        audience = Audience(subscribers, self._transmitter.received)
        self._transmitter.ways.append(audience)
        return audience

    def _announced(self) -> AbstractAsyncContextManager[None]:
        if self.announce is None:
            return nullcontext()
        # Of the sockets, since the kernel may have chosen the port.
        audiences = [way for way in self._transmitter.ways if isinstance(way, Audience)]
        served = [way.transport.get_extra_info("sockname") for way in audiences]
        feed = Announced(
            None if self.raw else self.name,
            subscribe=served[0][1] if served else None,
            seal=discovery.seal(self.sealing.flag) if self.sealing else None,
        )
        where = places(feed, self.destinations, self.interface, [name[0] for name in served])
        from netkit.servers.broadcast.announcing import announced  # it needs an extra

        return announced(self.announce, host_name(self.name), where)

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(EXPIRY)  # the pace of looking
            self._transmitter.expire()

    async def _send_all(self) -> None:
        left = self.count
        with suppress(TimeoutError):
            async with asyncio.timeout(self.duration or None), aclosing(self._source()) as source:
                async for payloads in source:
                    batch = payloads[:left] if left else payloads
                    await self._transmitter.send(batch)
                    if self.count:
                        left -= len(batch)
                        if not left:
                            return

    def _source(self) -> AsyncGenerator[Sequence[bytes], None]:
        """The one that was asked for."""
        if self.template is not None:
            return self._messages(self.template)
        if self.stdin:
            return standard_input(self.framing, self.max_size)
        if self.follow is not None:
            return following(self.follow, self.max_size)
        if self.exec is not None:
            return printed(self.exec, self.max_size)
        if self.replay is not None:
            return replayed(self.replay, self.max_size)
        return self._ingest.batches()

    async def _messages(self, template: Template) -> AsyncGenerator[Sequence[bytes], None]:
        with closing(Ticker(self.period)) as ticker:
            async for tick in ticker:
                self._missed += tick.missed
                text = template.fill(self._transmitter.following, time.time())
                if len(text) > self.max_size:
                    raise TooLongError("message", self._transmitter.following, self.max_size)
                yield [text]

    def _report(self, lasted: float) -> None:
        told = self.figures()
        log.info(
            "sent %d payloads in %d datagrams, %d bytes, %.3f s; missed ticks %d, sent again %d, "
            "asked for in vain %d, refused by the network %d",
            told["broadcast_payloads_total"], told["broadcast_datagrams_total"],
            told["broadcast_bytes_total"], lasted, self._missed, told["broadcast_resent_total"],
            told["broadcast_not_resent_total"], told["broadcast_errors_total"],
        )  # fmt: skip

    def _check_size(self, route: Route, destination: Address) -> None:
        whole = self._transmitter.whole(self.max_size)
        if whole > route.largest:
            raise UsageError(
                f"--max-size {self.max_size}: with headers {whole} bytes, but {route.largest} fit "
                f"into one packet to {destination.authority}; "
                f"give at most {self.max_size - whole + route.largest}"
            )


async def ended(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel them, and wait until they are over."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
