"""The feed announces itself by DNS-SD, by a name that is its own on each link.

A name that somebody else has is not fought for: we take the next, ``NAME-2``. Whether it is
free is asked before it is announced (RFC 6762 section 8.1). Two that ask at the same time
hear nothing; then each hears the other's announcement, and the one whose host comes first
in the alphabet gives way (sections 8.2 and 9). After `MOST_NAMES` we leave it.

It needs the extra discovery: import this after `mdns.require`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

from zeroconf import (  # type: ignore[attr-defined]  # DNSService is kept there for its users
    DNSQuestionType,
    DNSService,
    Error,
    NonUniqueNameException,
    RecordUpdateListener,
    current_time_millis,
)
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from netkit.feeds import discovery, mdns
from netkit.feeds.discovery import TYPE
from netkit.servers.broadcast.places import Place

if TYPE_CHECKING:
    from zeroconf import RecordUpdate, Zeroconf

log = logging.getLogger("netkit.server")

MOST_NAMES = 20
"""Names that are tried: who claims all of them is after something else."""


@asynccontextmanager
async def announced(name: str, host: str, places: Sequence[Place]) -> AsyncGenerator[None, None]:
    """The feed is announced by this name until the block ends; then it is taken back.

    `host` names the machine, and must differ from any other name on the links. What is in
    the block does not wait for the second that it takes to look whether the name is free.
    Raises `UsageError` and `StartError`.
    """
    texts = [discovery.encode(place.announced) for place in places]
    responders: list[AsyncZeroconf] = []
    tasks: list[asyncio.Task[None]] = []
    try:
        for place in places:
            responders.append(await mdns.responder(place.link))
        for place, text, responder in zip(places, texts, responders, strict=True):
            announcement = Announcement(name, host, place, text, responder)
            tasks.append(asyncio.create_task(announcement.run()))
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(each.async_close() for each in responders))


class Rival(RecordUpdateListener):
    """Hears whether somebody announces our name to whom we give way; then `came` is set."""

    def __init__(self, info: AsyncServiceInfo) -> None:
        self._info = info
        self.came = asyncio.Event()

    def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
        """Hear of records, changed or not."""
        other = claimant(self._info, (each.new for each in records), now)
        if other and self._info.server and other > self._info.server.lower():
            self.came.set()


def claimant(info: AsyncServiceInfo, records: Iterable[object], now: float) -> str | None:
    """Another host that has our name, in capitals or not, by these records; the last of several."""
    ours = (info.server or "").lower()
    others = [
        str(record.server).lower()
        for record in records
        if isinstance(record, DNSService) and record.key == info.key and not record.is_expired(now)
    ]
    return max((other for other in others if other != ours), default=None)


class Announcement:
    """The feed on one link. What went out stays until the responder is closed."""

    def __init__(
        self, name: str, host: str, place: Place, text: bytes, responder: AsyncZeroconf
    ) -> None:
        self._name, self._host, self._place, self._text = name, host, place, text
        self._responder = responder
        self._zeroconf = responder.zeroconf

    async def run(self) -> None:
        """Announce it, and again by another name if we have to give way; until cancelled."""
        link = self._place.link.name
        try:
            for number in range(1, MOST_NAMES + 1):
                name = self._name if number == 1 else f"{self._name}-{number}"
                await self._hold(name)
                log.warning("the name %r is taken on %s", name, link)
            log.warning("%r is not announced on %s", self._name, link)
        except Error as error:
            why = str(error) or type(error).__name__
            log.warning("cannot announce %r on %s: %s", self._name, link, why)

    async def _hold(self, name: str) -> None:
        """Announce it by this name; returns when somebody else has it."""
        info = AsyncServiceInfo(
            TYPE,
            f"{name}.{TYPE}",
            port=self._place.port,
            properties=self._text,
            server=self._host,
            parsed_addresses=[str(ip) for ip in self._place.addresses],
        )
        telling = await self._claimed(info)
        if telling is None:
            return
        rival = Rival(info)
        self._zeroconf.async_add_listener(rival, None)
        try:
            await telling
            log.info("announced as %r on %s", name, self._place.link.name)
            await rival.came.wait()
        finally:
            self._zeroconf.async_remove_listener(rival)
        # Without a goodbye, which would take the other's records out of all caches.
        self._zeroconf.registry.async_remove(info)

    async def _claimed(self, info: AsyncServiceInfo) -> asyncio.Task[None] | None:
        """Ask whether the name is free; the announcements if so, which begin in the next turn."""
        # The library asks so that it is answered to us alone; where several responders share
        # this machine's port another may get that answer. What is browsed for is
        # answered to all, and ends up in the same cache.
        async with AsyncServiceBrowser(
            self._zeroconf, TYPE, [_unheeded], question_type=DNSQuestionType.QM
        ):
            try:
                telling = await self._responder.async_register_service(info)
            except NonUniqueNameException:
                return None
        announcements = cast("asyncio.Task[None]", telling)  # the library's annotation is wider
        known = self._zeroconf.cache.entries_with_name(info.name)
        if claimant(info, known, current_time_millis()) is None:
            return announcements
        announcements.cancel()
        await asyncio.wait([announcements])
        self._zeroconf.registry.async_remove(info)
        return None


def _unheeded(**_: object) -> None:
    """What is browsed for here is for the cache."""
