"""What is said of a feed that announces itself, and where: no packet is sent here."""

from __future__ import annotations

import sys
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.addresses import Address
from netkit.clients.discover.found import Found
from netkit.errors import NetworkError, StartError, UsageError
from netkit.feeds import discovery, mdns
from netkit.feeds.discovery import MOST, Announced, decode, encode
from netkit.feeds.format import MalformedError
from netkit.feeds.interfaces import find as interface
from netkit.servers.broadcast.places import places, through

GROUP = Address("udp", "239.1.2.3", 9999)
FEED = Announced(0x1A2B3C4D, (GROUP, Address("udp", "ff15::1", 9998)), 9997, "hmac")
RECORD = (
    b"\x09txtvers=1\x08format=1\x0fsender=1a2b3c4d\x09seal=hmac"
    b"\x11to=239.1.2.3:9999\x12to2=[ff15::1]:9998\x0esubscribe=9997"
)


def record(*strings: bytes) -> bytes:
    return b"".join(bytes((len(each),)) + each for each in strings)


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
