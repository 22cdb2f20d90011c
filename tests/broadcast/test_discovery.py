"""Feeds that announce themselves, and those who look for them. Nothing leaves the machine.

mDNS is kept to the loopback interface here, or to namespaces; names are of this run alone,
since whoever else runs tests on this machine hears the same loopback.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shlex
import socket
import subprocess
import sys
from contextlib import AbstractAsyncContextManager
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from netkit.addresses import Address
from netkit.clients.discover.browsing import Browser, find
from netkit.clients.discover.found import Found
from netkit.errors import NetworkError, StartError, UsageError
from netkit.feeds import discovery, mdns
from netkit.feeds.discovery import MOST, TYPE, Announced, decode, encode
from netkit.feeds.format import MalformedError
from netkit.feeds.interfaces import find as interface
from netkit.servers.broadcast.announcing import announced
from netkit.servers.broadcast.places import host_name, places, through
from tests.broadcast.avahi import avahi
from tests.broadcast.broadcasting import broadcasting
from tests.broadcast.namespaces import DEVICE, Host, network
from tests.runtime.process import COMMAND, LOOPS

GROUP = Address("udp", "239.1.2.3", 9999)
FEED = Announced(0x1A2B3C4D, (GROUP, Address("udp", "ff15::1", 9998)), 9997, "hmac")
RECORD = (
    b"\x09txtvers=1\x08format=1\x0fsender=1a2b3c4d\x09seal=hmac"
    b"\x11to=239.1.2.3:9999\x12to2=[ff15::1]:9998\x0esubscribe=9997"
)
ENOUGH = 20.0
"""Seconds after which something is broken."""


def record(*strings: bytes) -> bytes:
    return b"".join(bytes((len(each),)) + each for each in strings)


def unheard_of() -> str:
    """A name that nobody else has."""
    return f"test {secrets.token_hex(8)}"


def here(
    name: str, sender: int, feed: Announced | None = None
) -> AbstractAsyncContextManager[None]:
    """A feed to the loopback interface, announced there."""
    where = places(feed or Announced(sender), [Address("udp", "127.0.0.1", 9999)], "", [])
    return announced(name, host_name(sender), where)


# The record.


def test_a_record_is_as_specified() -> None:
    assert encode(FEED) == RECORD
    assert decode(RECORD) == FEED
    raw = Announced(None, (GROUP,))
    assert encode(raw) == record(b"txtvers=1", b"raw", b"to=239.1.2.3:9999")
    assert decode(encode(raw)) == raw
    assert raw.raw


addresses = st.builds(
    lambda ip, port: Address("udp", str(ip), port), st.ip_addresses(), st.integers(1, 65535)
).filter(lambda address: "%" not in address.host)


@given(
    st.builds(
        Announced,
        st.none() | st.integers(0, 2**32 - 1),
        st.lists(addresses, max_size=MOST).map(tuple),
        st.integers(1, 65535),
        st.sampled_from([None, "hmac", "ed25519"]),
    )
)
def test_what_is_encoded_is_decoded(feed: Announced) -> None:
    text = encode(feed)
    assert len(text) <= discovery.LONGEST
    assert decode(text) == feed


@given(
    st.binary(max_size=1400)
    | st.lists(st.binary(max_size=60), max_size=20).map(lambda each: record(*each))
)
def test_no_record_does_harm(text: bytes) -> None:
    try:
        feed = decode(text)
    except MalformedError:
        return
    assert encode(feed)


GOOD = (b"txtvers=1", b"format=1", b"sender=1a2b3c4d")


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        (b"", "txtvers"),
        (b"\0", "txtvers"),
        (b"\x20txtvers=1", "size"),
        (record(b"txtvers=2"), "txtvers"),
        (record(b"txtvers=1", b"format=2", b"sender=1a2b3c4d", b"to=239.1.2.3:1"), "format"),
        (record(b"txtvers=1", b"format=1", b"to=239.1.2.3:1"), "sender"),
        (record(b"txtvers=1", b"format=1", b"sender=1a2b3c4d ", b"to=239.1.2.3:1"), "sender"),
        (record(*GOOD), "to"),
        (record(*GOOD, b"to=example.org:80"), "to"),
        (record(*GOOD, b"to=unix:/run/x"), "to"),
        (record(*GOOD, b"to=fd://0"), "to"),
        (record(*GOOD, b"to=[ff02::1%lo]:9"), "to"),
        (record(*GOOD, b"to=239.1.2.3:0"), "to"),
        (record(*GOOD, b"to=\xff:9"), "to"),
        (record(*GOOD, b"subscribe=65536"), "subscribe"),
        (record(*GOOD, b"subscribe="), "subscribe"),
        (record(*GOOD, b"subscribe=9", b"seal=none"), "seal"),
        (record(*GOOD, b"subscribe=9", *[b"x" * 255] * 6), "size"),
    ],
)
def test_a_record_that_is_no_feed_says_why(text: bytes, slug: str) -> None:
    with pytest.raises(MalformedError) as error:
        decode(text)
    assert error.value.slug == slug


def test_unknown_keys_and_repetitions_are_left_alone() -> None:
    text = record(*GOOD, b"SUBSCRIBE=9", b"subscribe=10", b"", b"=x", b"new", b"new=1")
    assert decode(text) == Announced(0x1A2B3C4D, subscribe=9)


def test_zones_are_not_told() -> None:
    feed = Announced(1, (Address("udp", "ff02::1%lo", 9),))
    assert decode(encode(feed)).destinations == (Address("udp", "ff02::1", 9),)


def test_more_destinations_than_an_announcement_has() -> None:
    with pytest.raises(UsageError, match="at most 16 destinations"):
        encode(Announced(1, (GROUP,) * (MOST + 1)))


@pytest.mark.parametrize("name", ["Line 3", "Käse", "x", "ä" * 30, "3a"])
def test_names(name: str) -> None:
    assert discovery.checked(name) == name


@pytest.mark.parametrize(
    "name", ["", "9999", "a:1", "a.b", "x" * 61, "\x1b[2J", " a", "[a", "a/b", "\ud800\u202e"]
)
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(UsageError, match="such as 'Line 3'"):
        discovery.checked(name)


# Where.


def test_what_is_sent_to_ourselves_is_announced_to_ourselves() -> None:
    lo = interface("lo")
    assert through(Address("udp", "127.0.0.1", 9999), "") == lo
    assert through(GROUP, "lo") == lo
    own = [net.ip for each in mdns.links() for net in each.addresses if net.version == 4]
    for ip in own:  # also other interfaces' addresses: the kernel does not use these for it
        assert through(Address("udp", str(ip), 9999), "").index == lo.index


def test_a_subscription_is_told_where_it_can_be_had() -> None:
    to = [Address("udp", "127.0.0.1", 9999)]
    feed = Announced(1, subscribe=9998)
    (place,) = places(feed, to, "", ["0.0.0.0"])
    assert (place.link.name, place.announced.subscribe, place.port) == ("lo", 9998, 9998)
    assert place.addresses == (ip_address("127.0.0.1"),)
    (place,) = places(feed, [], "", ["127.0.0.1"])
    assert (place.link.name, place.port) == ("lo", 9998)
    (place,) = places(feed, [], "lo", ["0.0.0.0"])
    assert place.link.name == "lo"
    (place,) = places(feed, to, "", ["192.0.2.1"])
    assert place.announced.subscribe is None
    assert place.port == 9999
    with pytest.raises(StartError, match="no interface is up"):
        places(feed, [], "", ["192.0.2.1"])


def test_which_of_its_destinations_are_heard_here() -> None:
    elsewhere = Address("udp", "192.0.2.9", 9)
    found = Found(
        "it", "host.local", (ip_address("192.0.2.1"),), "lo", Announced(1, (GROUP, elsewhere), 7)
    )
    assert found.ways() == ((GROUP,), None)
    found = Found("it", "host.local", found.addresses, "lo", Announced(1, (elsewhere,), 7))
    assert found.ways() == ((), Address("udp", "192.0.2.1", 7))
    found = Found("it", "host.local", found.addresses, "lo", Announced(1, (elsewhere,)))
    with pytest.raises(NetworkError, match=r"it: it is sent to 192\.0\.2\.9:9, which is not heard"):
        found.ways()
    local = Found("it", "", (ip_address("fe80::1"),), "lo", Announced(1, (), 7))
    assert local.subscribe == Address("udp", "fe80::1%lo", 7)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zeroconf.asyncio", None)
    with pytest.raises(UsageError, match=r"pip install 'netkit-serve\[discovery\]'"):
        mdns.require()


# Announcing and finding, in one loop.


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


# As a person would.


def discovered(*words: str, host: Host | None = None) -> list[dict[str, object]]:
    command = [*COMMAND, "discover", "--json", *words]
    if host:
        command = [str(each) for each in host.command(*command)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


@pytest.mark.asyncio(loop_factories=["asyncio"])  # of the test itself
@pytest.mark.parametrize("loop", LOOPS)
async def test_discover_and_listen_by_name(loop: str) -> None:
    name = unheard_of()
    group = f"239.255.{secrets.randbelow(256)}.{secrets.randbelow(256)}:9999"
    arguments = ["--to", group, "--interface", "lo", "--message", "{sequence}", "--every", "20ms"]
    arguments += ("--announce", name, "--sender", "1a2b3c4d", "--subscribe", "127.0.0.1:0")
    async with broadcasting(*arguments, loop=loop) as server:
        await server.logged(f"announced as {name!r} on lo")
        words = ("--interface", "127.0.0.1", "--loop", loop)
        found = await asyncio.to_thread(discovered, *words)
        (ours,) = [each for each in found if each["name"] == name]
        assert ours == {
            "name": name, "host": host_name(0x1A2B3C4D).removesuffix("."),
            "addresses": ["127.0.0.1"], "interface": "lo", "sender": "1a2b3c4d", "raw": False,
            "seal": None, "to": [group], "subscribe": f"127.0.0.1:{server.ports[0]}",
        }  # fmt: skip
        shown = await output("discover", "--interface", "lo", "--loop", loop)
        assert [group in line for line in shown.splitlines() if name in line] == [True]
        # Without --interface: it listens where it was found.
        payloads = await output("listen", name, "--count", "3", "--quiet", "--loop", loop)
        first, *rest = map(int, payloads.split())
        assert rest == [first + 1, first + 2]
    assert not server.complaints("taken", "Error")


@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_raw_feeds_and_subscriptions_are_listened_to_as_they_are() -> None:
    raw, subscription = unheard_of(), unheard_of()
    group = f"239.255.{secrets.randbelow(256)}.{secrets.randbelow(256)}:9999"
    common = ("--message", "beat", "--every", "20ms", "--announce")
    async with (
        broadcasting(
            "--to", group, "--interface", "lo", "--raw", *common, raw, loop="uvloop"
        ) as one,
        broadcasting("--subscribe", "127.0.0.1:0", *common, subscription, loop="uvloop") as other,
    ):
        for server in (one, other):
            await server.logged("announced as")
        for name in (raw, subscription):
            assert await output("listen", name, "-c", "2", "--quiet") == "beat\nbeat\n"


async def output(*words: str) -> str:
    process = await asyncio.create_subprocess_exec(*COMMAND, *words, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    assert process.returncode == 0
    return said.decode()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["discover", "--timeout", "0"], "--timeout 0: give more than 0"),
        (["discover", "--interface", "nosuch0"], "--interface 'nosuch0': no interface has that"),
        (["listen", "it", "--subscribe", "9"], "it --subscribe: that is two feeds"),
        (["serve", "broadcast", "--to", "127.0.0.1:9", "--message", "x", "--announce", "a.b"],
         "--announce 'a.b': give a name"),
    ],
)  # fmt: skip
def test_usage(words: list[str], why: str) -> None:
    done = subprocess.run([*COMMAND, *words], capture_output=True, text=True)
    assert done.returncode == 2
    assert why in done.stderr
    assert len(done.stderr.splitlines()) == 1


# With others on a network.


@pytest.mark.asyncio(loop_factories=["asyncio"])
@pytest.mark.parametrize("loop", LOOPS)
async def test_avahi_finds_ours_and_we_find_its(loop: str, tmp_path: Path) -> None:
    with network(2) as net, avahi(net.hosts[1], tmp_path) as daemon:
        to = ("--to", "239.1.2.3:9999", "--to", "[ff02::77%eth0]:9998", "--subscribe", "9997")
        words = [*COMMAND, "serve", "broadcast", *to, "--interface", DEVICE, "--message", "x"]
        words += ("--announce", "Line 3", "--sender", "1a2b3c4d", "--loop", loop)
        theirs = daemon.command(
            "avahi-publish", "-s", "Käse", "_netkit-feed._udp", "9999",
            "txtvers=1", "raw", "to=239.9.9.9:9999",
        )  # fmt: skip
        async with running(*net.hosts[0].command(*words)) as server, running(*theirs) as other:
            await said(server, "announced as 'Line 3' on eth0")
            await said(other, "Established")
            lines = daemon.run("avahi-browse", "-rtp", "_netkit-feed._udp").splitlines()
            ours = [line.split(";") for line in lines if line.startswith("=") and "1a2b" in line]
            assert {line[2] for line in ours} == {"IPv4", "IPv6"}
            for line in ours:
                assert line[3:5] == [r"Line\0323", "_netkit-feed._udp"]
                assert line[8] == "9997"
                assert sorted(shlex.split(line[9])) == [
                    "format=1", "sender=1a2b3c4d", "subscribe=9997", "to2=[ff02::77]:9998",
                    "to=239.1.2.3:9999", "txtvers=1",
                ]  # fmt: skip
            # From another host, and from one where the daemon has the port too.
            for host in net.hosts:
                found = {each["name"]: each for each in discovered("--loop", loop, host=host)}
                assert found.keys() == {"Line 3", "Käse"}
                assert found["Line 3"]["subscribe"] == "10.77.0.1:9997"
                assert found["Käse"]["raw"] is True
                assert found["Käse"]["host"] == "avahi.local"
        assert discovered("-t", "1.5", host=net.hosts[1]) == []  # both have said goodbye


@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_a_name_that_avahi_has_is_not_fought_for(tmp_path: Path) -> None:
    with network(2) as net, avahi(net.hosts[1], tmp_path) as daemon:
        theirs = daemon.command("avahi-publish", "-s", "it", "_netkit-feed._udp", "9", "raw")
        words = (*COMMAND, "serve", "broadcast", "--to", "239.1.2.3:9999", "--message", "x")
        async with running(*theirs) as other:
            await said(other, "Established")
            for host in net.hosts:
                async with running(*host.command(*words, "--announce", "it")) as server:
                    await said(server, "announced as 'it-2' on eth0")


@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_nothing_goes_out_by_another_interface() -> None:
    with network(2) as net:
        with net.hosts[0].entered():
            tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0003))
        with tap:
            tap.bind((DEVICE, 0))
            tap.setblocking(False)
            words = (*COMMAND, "serve", "broadcast", "--to", "127.0.0.1:9999", "--message", "x")
            async with running(*net.hosts[0].command(*words, "--announce", "it")) as server:
                await said(server, "announced as 'it' on lo")
                assert discovered("-t", "2", host=net.hosts[1]) == []
                ask(net.hosts[1], net.hosts[0].ipv4)
                assert [each["name"] for each in discovered(host=net.hosts[0])] == ["it"]
            sent = [
                frame for frame, outgoing in frames(tap) if outgoing and b"\x14\xe9" in frame[:48]
            ]
    # The only ones are those of `discover` on the first host itself, which asks on all links.
    assert all(is_question(frame) for frame in sent)


def is_question(frame: bytes) -> bool:
    """Of an mDNS packet on IPv4 or IPv6, without options."""
    headers = 28 if frame[0] >> 4 == 4 else 48
    return not frame[headers + 2] & 0x80


def frames(tap: socket.socket) -> list[tuple[bytes, bool]]:
    """What went by, and whether it went out."""
    seen = []
    try:
        while True:
            frame, where = tap.recvfrom(65536)
            seen.append((frame, where[2] == socket.PACKET_OUTGOING))
    except BlockingIOError:
        return seen


def ask(host: Host, address: str) -> None:
    """Ask for feeds by unicast, as some programs do; who answers would do so by unicast."""
    question = (
        bytes((0, 7, 0, 0, 0, 1)) + bytes(6) + b"\x0c_netkit-feed\x04_udp\x05local\0\0\x0c\0\1"
    )
    with host.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(question, (address, 5353))


class running:  # noqa: N801
    """A process and what it says on standard error, ended with TERM after the block."""

    def __init__(self, *words: object) -> None:
        self._words = [str(each) for each in words]

    async def __aenter__(self) -> asyncio.subprocess.Process:
        self._process = await asyncio.create_subprocess_exec(
            *self._words, stderr=asyncio.subprocess.PIPE
        )
        return self._process

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.communicate()


async def said(process: asyncio.subprocess.Process, text: str) -> None:
    """Wait until it has said that."""
    assert process.stderr
    so_far = ""
    while text not in so_far:
        line = await process.stderr.readline()
        assert line, f"it ended without {text!r}: {so_far}"
        so_far += line.decode()
