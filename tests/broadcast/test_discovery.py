"""Feeds that announce themselves, and those who look for them, in one loop.

mDNS is kept to the loopback interface; names are of this run alone, since whoever else runs
tests on this machine hears the same loopback.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import AbstractAsyncContextManager
from ipaddress import ip_address

import pytest
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from netkit.addresses import Address
from netkit.clients.discover.browsing import Browser, find
from netkit.clients.discover.found import Found
from netkit.errors import NetworkError
from netkit.feeds.discovery import TYPE, Announced, encode
from netkit.servers.broadcast.announcing import announced
from netkit.servers.broadcast.places import host_name, places
from tests.broadcast.discovering import unheard_of

GROUP = Address("udp", "239.1.2.3", 9999)
ENOUGH = 20.0
"""Seconds after which something is broken."""


def here(
    name: str, sender: int, feed: Announced | None = None
) -> AbstractAsyncContextManager[None]:
    """A feed to the loopback interface, announced there."""
    where = places(feed or Announced(sender), [Address("udp", "127.0.0.1", 9999)], "", [])
    return announced(name, host_name(sender), where)


async def test_what_is_announced_is_found_by_its_name() -> None:
    name = unheard_of()
    feed = Announced(0x1A2B3C4D, seal="ed25519")
    async with here(name, 0x1A2B3C4D, feed):
        found = await find(name.upper(), ENOUGH, "lo")
    assert found.name == name
    assert found.interface == "lo"
    assert found.host == host_name(0x1A2B3C4D).removesuffix(".")
    assert found.addresses[0] == ip_address("127.0.0.1")
    assert found.announced == Announced(
        0x1A2B3C4D, (Address("udp", "127.0.0.1", 9999),), None, "ed25519"
    )


async def test_a_name_that_nobody_has() -> None:
    with pytest.raises(NetworkError, match="no feed of that name is announced on lo"):
        await find(unheard_of(), 0.1, "lo")


async def heard(names: set[str]) -> dict[str, Found]:
    """Browse until these have been found."""
    found: dict[str, Found] = {}
    async with asyncio.timeout(ENOUGH), Browser("lo") as browser:
        while not names <= found.keys():
            one = await browser.next()
            found[one.name] = one
    return found


async def test_a_taken_name_is_not_fought_for(caplog: pytest.LogCaptureFixture) -> None:
    name = unheard_of()
    async with here(name, 2):
        await heard({name})
        async with here(name.upper(), 1):  # names are the same in capitals
            found = await heard({name, f"{name.upper()}-2"})
    assert found[name].announced.sender == 2
    assert found[f"{name.upper()}-2"].announced.sender == 1
    (warning,) = [each.getMessage() for each in caplog.records if each.name == "netkit.server"]
    assert warning == f"the name {name.upper()!r} is taken on lo"


async def test_of_two_that_begin_together_one_gives_way() -> None:
    name = unheard_of()
    async with here(name, 1), here(name, 2):
        await heard({name, f"{name}-2"})
        found = await heard({name, f"{name}-2"})  # the first had the name for a moment
    assert {found[each].announced.sender for each in (name, f"{name}-2")} == {1, 2}


async def test_we_give_way_to_who_did_not_ask_and_comes_behind_us_in_the_alphabet() -> None:
    name, rival = unheard_of(), AsyncZeroconf(interfaces=["127.0.0.1"])
    info = AsyncServiceInfo(
        TYPE, f"{name}.{TYPE}", port=9999, properties=encode(Announced(3, (GROUP,))),
        server="~.local.", parsed_addresses=["127.0.0.1"],
    )  # fmt: skip
    try:
        async with here(name, 1):
            await heard({name})
            await (await rival.async_register_service(info, cooperating_responders=True))
            found = await heard({f"{name}-2"})
            assert found[f"{name}-2"].announced.sender == 1
    finally:
        await rival.async_close()


async def test_hostile_announcements_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    name = unheard_of()
    liar = AsyncZeroconf(interfaces=["127.0.0.1"])
    hostile = AsyncServiceInfo(
        TYPE, f"{name} liar.{TYPE}", port=9, properties=b"\x05a\x1b[2J", server=f"{name}.local.",
        parsed_addresses=["127.0.0.1"],
    )  # fmt: skip
    try:
        await (await liar.async_register_service(hostile))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(
                socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1")
            )
            async with Browser("lo") as browser, here(name, 1):
                for garbage in (b"", b"\xff" * 40, bytes(9000), b"\0\0\x84" + b"\xc0\x0c" * 500):
                    sock.sendto(garbage, ("224.0.0.251", 5353))
                async with asyncio.timeout(ENOUGH):
                    while (await browser.next()).name != name:
                        pass
                await (await liar.async_update_service(hostile))  # says it three times more
                assert browser.malformed >= 1
    finally:
        await liar.async_close()
    assert not [each for each in caplog.records if each.exc_info]
