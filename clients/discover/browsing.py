"""Hears the announcements of feeds, on one link or all, for a while.

Bounded by `MOST`: what is announced beyond it is not looked at. A record that is no
feed's is counted in `Browser.malformed`. The library's own cache has a bound too.

It needs the extra discovery: import this after `mdns.require`.
"""

from __future__ import annotations

import asyncio
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from zeroconf import DNSQuestionType, Error
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from netkit.clients.discover.found import Found
from netkit.errors import NetworkError, StartError
from netkit.feeds import mdns
from netkit.feeds.discovery import TYPE, decode
from netkit.feeds.format import MalformedError
from netkit.feeds.interfaces import Interface
from netkit.feeds.resolving import as_ip

if TYPE_CHECKING:
    from zeroconf import Zeroconf

MOST = 1000
"""Announcements that are looked at."""
ADDRESSES = 16
"""Addresses that are kept of a machine."""
PATIENCE = 60.0
"""Seconds for the details of an announcement; whoever waits gives up before."""


async def browse(timeout: float, interface: str = "") -> tuple[list[Found], int]:
    """Which feeds are announced on `interface`, or on any, within `timeout` seconds.

    By name, and how many more announcements were none that we know. Raises `UsageError`,
    and `StartError` if no link has mDNS for us.
    """
    found: list[Found] = []
    async with Browser(interface) as browser:
        try:
            async with asyncio.timeout(timeout):
                while True:
                    found.append(await browser.next())
        except TimeoutError:
            pass  # that is how long it was to be
        malformed = browser.malformed
    return sorted(found, key=lambda each: (each.name.lower(), each.interface)), malformed


async def find(name: str, timeout: float, interface: str = "") -> Found:
    """The feed of this name, in capitals or not, as soon as it is heard of.

    Raises what `browse` does, and `NetworkError` if there is none within `timeout` seconds.
    """
    async with Browser(interface) as browser:
        try:
            async with asyncio.timeout(timeout):
                while True:
                    found = await browser.next()
                    if found.name.lower() == name.lower():  # RFC 6762 section 16
                        return found
        except TimeoutError:
            on = f" on {interface}" if interface else ""
            raise NetworkError(
                f"{name}: no feed of that name is announced{on}; netkit discover lists them, "
                "and an address has a port"
            ) from None


class Browser:
    """Browses while it is entered; `next` gives each feed once for each link it is heard on."""

    def __init__(self, interface: str = "") -> None:
        self._interface = interface
        self._news: asyncio.Queue[Found] = asyncio.Queue()
        self._seen: set[tuple[str, str]] = set()
        self._looking: set[asyncio.Task[None]] = set()
        self._browsers: list[AsyncServiceBrowser] = []
        self._responders: list[AsyncZeroconf] = []
        self.malformed = 0
        """Announcements that are none of a feed that we could hear."""

    async def next(self) -> Found:
        """Wait for one more."""
        return await self._news.get()

    async def __aenter__(self) -> Self:
        try:
            for link in mdns.links(self._interface):
                await self._open(link)
            if not self._browsers:
                raise StartError("no mDNS: no interface is up; name one with --interface")
        except BaseException:  # a cancellation too
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close()

    async def _open(self, link: Interface) -> None:
        try:
            responder = await mdns.responder(link)
        except StartError:
            if self._interface:
                raise
            return  # one of many
        self._responders.append(responder)
        # Asked so that all hear the answer (QM): one for us alone may come to another program
        # that shares the port.
        self._browsers.append(
            AsyncServiceBrowser(
                responder.zeroconf,
                TYPE,
                [partial(self._hear, link.name)],
                question_type=DNSQuestionType.QM,
            )
        )

    async def _close(self) -> None:
        for browser in self._browsers:
            await browser.async_cancel()
        for task in self._looking:
            task.cancel()
        await asyncio.gather(*self._looking, return_exceptions=True)
        await asyncio.gather(*(each.async_close() for each in self._responders))

    def _hear(self, link: str, *, zeroconf: Zeroconf, name: str, **_: Any) -> None:
        key = (link, name.lower())
        if key in self._seen or len(self._seen) >= MOST:
            return
        self._seen.add(key)
        task = asyncio.get_running_loop().create_task(self._look(link, zeroconf, name))
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    async def _look(self, link: str, zeroconf: Zeroconf, name: str) -> None:
        try:
            info = AsyncServiceInfo(TYPE, name)
            if await info.async_request(zeroconf, PATIENCE * 1000, DNSQuestionType.QM):
                self._news.put_nowait(_found(info, link))
        except (Error, MalformedError):
            self.malformed += 1


def _found(info: AsyncServiceInfo, link: str) -> Found:
    heard = [as_ip(text) for text in info.parsed_addresses()[:ADDRESSES]]
    return Found(
        info.name.removesuffix(f".{TYPE}"),
        (info.server or "").removesuffix("."),
        tuple(ip for ip in heard if ip),
        link,
        decode(info.text or b""),
    )
