"""What came in, what the parser said."""

from __future__ import annotations

import ipaddress
import os
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.proxy_protocol import (
    LONGEST,
    LONGEST_LINE,
    Header,
    Parser,
    WrongHeaderError,
    crc32c,
)
from tests.proxy import encoder
from tests.proxy.encoder import BLOCK, FROM, LINE, LOCAL, TO


def parse(data: bytes) -> Header:
    parser = Parser()
    assert parser.feed(data + b"after it") == len(data)
    assert parser.wanted == 0
    assert parser.feed(b"more") == 0
    assert parser.header is not None
    return parser.header


V6 = (("2001:db8::1", 1), ("::1", 65535))

TRANSCRIPTS: dict[str, tuple[bytes, Header]] = {
    "TCP4": (LINE, Header(1, "PROXY", "INET", "STREAM", FROM, TO)),
    "TCP6": (
        b"PROXY TCP6 2001:DB8:0:0:0:0:0:1 ::1 1 65535\r\n",
        Header(
            1, "PROXY", "INET6", "STREAM", ("2001:db8::1", 1, 0, 0), ("::1", 65535, 0, 0)
        ),
    ),
    "longest TCP6": (
        b"PROXY TCP6 " + b" ".join([b"ffff:" * 7 + b"ffff"] * 2) + b" 65535 65535\r\n",
        Header(
            1, "PROXY", "INET6", "STREAM",
            ("ffff:" * 7 + "ffff", 65535, 0, 0), ("ffff:" * 7 + "ffff", 65535, 0, 0),
        ),
    ),
    "mapped": (
        b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n",
        Header(
            1, "PROXY", "INET6", "STREAM", ("::ffff:192.0.2.1", 1, 0, 0), ("::1", 2, 0, 0)
        ),
    ),
    "UNKNOWN": (b"PROXY UNKNOWN\r\n", Header(1, "PROXY")),
    "UNKNOWN and more": (b"PROXY UNKNOWN what ever  it is\r\n", Header(1, "PROXY")),
    "longest line": (b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n", Header(1, "PROXY")),
    "INET": (BLOCK, Header(2, "PROXY", "INET", "STREAM", FROM, TO)),
    "INET6": (
        encoder.block(encoder.addresses(*V6), family="INET6"),
        Header(
            2, "PROXY", "INET6", "STREAM", ("2001:db8::1", 1, 0, 0), ("::1", 65535, 0, 0)
        ),
    ),
    "UNIX": (
        encoder.block(encoder.paths(b"/run/a", b"\0abstract"), family="UNIX"),
        Header(2, "PROXY", "UNIX", "STREAM", "/run/a", b"\0abstract"),
    ),
    "UNIX without a name": (
        encoder.block(encoder.paths(b"", b"/" + b"x" * 107), family="UNIX"),
        Header(2, "PROXY", "UNIX", "STREAM", "", "/" + "x" * 107),
    ),
    "DGRAM": (
        encoder.block(encoder.addresses(FROM, TO), transport="DGRAM"),
        Header(2, "PROXY", "INET", "DGRAM", FROM, TO),
    ),
    "LOCAL": (LOCAL, Header(2, "LOCAL")),
    "LOCAL with what it need not have": (
        encoder.block(encoder.addresses(FROM, TO) + b"\0", command=0),
        Header(2, "LOCAL"),
    ),
    "UNSPEC": (
        encoder.block(b"whatever", family="UNSPEC", transport="UNSPEC"),
        Header(2, "PROXY"),
    ),
    "unspecified transport": (
        encoder.block(encoder.addresses(FROM, TO), transport="UNSPEC"),
        Header(2, "PROXY", "INET", "UNSPEC"),
    ),
    "TLVs": (
        encoder.block(encoder.addresses(FROM, TO), tlvs=[(2, b"a.example"), (4, b""), (5, b"\0")]),
        Header(
            2, "PROXY", "INET", "STREAM", FROM, TO, ((2, b"a.example"), (4, b""), (5, b"\0"))
        ),
    ),
    "longest block": (
        encoder.block(encoder.addresses(FROM, TO), tlvs=[(4, bytes(LONGEST - 28 - 3))]),
        Header(
            2, "PROXY", "INET", "STREAM", FROM, TO, ((4, bytes(LONGEST - 28 - 3)),)
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_a_header(name: str) -> None:
    data, header = TRANSCRIPTS[name]
    assert parse(data) == header


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_a_header_byte_by_byte(name: str) -> None:
    data, header = TRANSCRIPTS[name]
    parser = Parser()
    for number in range(len(data)):
        assert parser.header is None
        assert 0 < len(data) - number <= parser.wanted
        assert parser.feed(data[number : number + 1]) == 1
    assert parser.header == header


WRONG = {
    "HTTP": (b"GET / HTTP/1.1\r\n", "no PROXY header: it begins with b'GET / HTTP/1'"),
    "TLS": (b"\x16\x03\x01\x02\x00", r"no PROXY header: it begins with b'\\x16\\x03"),
    "PROXIED": (b"PROXIED", "no PROXY header: it begins with b'PROXIED'"),
    "lower case": (b"proxy TCP4", "no PROXY header"),
    "almost the signature": (b"\r\n\r\n\0\r\nQUIT\r", "no PROXY header"),
    "no CRLF": (b"PROXY UNKNOWN " + b"x" * 93, "without CRLF in its first 107 bytes"),
    "LF alone": (b"PROXY UNKNOWN\nHELLO\r\n", "a byte that is no text"),
    "CR alone": (b"PROXY UNKNOWN\rHELLO\r\n", "a byte that is no text"),
    "not ASCII": ("PROXY TCP4 ١٩٢.0.2.1 192.0.2.2 1 2\r\n".encode(), "a byte that is no text"),
    "TCP5": (b"PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n", "neither UNKNOWN nor TCP4 or TCP6"),
    "two spaces": (b"PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n", "neither"),
    "one port": (b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", "neither"),
    "nothing": (b"PROXY \r\n", "neither"),
    "octal": (b"PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n", "'192.0.2.01' is no INET address"),
    "IPv6 as IPv4": (b"PROXY TCP4 ::1 ::1 1 2\r\n", "'::1' is no INET address"),
    "IPv4 as IPv6": (b"PROXY TCP6 192.0.2.1 ::1 1 2\r\n", "'192.0.2.1' is no INET6 address"),
    "a zone": (b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", "'fe80::1%eth0' is no INET6 address"),
    "port 65536": (b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n", "'65536' is no port"),
    "port 01": (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 01\r\n", "'01' is no port"),
    "port +1": (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 +1\r\n", r"'\+1' is no port"),
    "version 3": (encoder.block(b"", version=3), "unknown version 3"),
    "command 2": (encoder.block(b"", command=2), "unknown command 2"),
    "family 4": (BLOCK[:13] + b"\x41" + BLOCK[14:], "unknown address family 4"),
    "transport 3": (BLOCK[:13] + b"\x13" + BLOCK[14:], "unknown transport 3"),
    "too long": (BLOCK[:14] + b"\x0f\xf1", "of 4097 bytes; at most 4096 are accepted"),
    "too short": (encoder.block(bytes(11)), "too short for INET addresses: 27 bytes, not 28"),
    "half a TLV": (encoder.block(bytes(14)), "ends in the middle of a TLV"),
    "a TLV too long": (
        encoder.block(bytes(12) + b"\x20\x01\x00xx"),
        "TLV 0x20 claims 256 bytes where 2 are left",
    ),
    "a wrong checksum": (
        encoder.with_checksum(BLOCK)[:-1] + b"\0",
        "damaged: its CRC32C checksum is wrong",
    ),
    "a short checksum": (
        encoder.block(encoder.addresses(FROM, TO), tlvs=[(3, b"\0")]),
        "damaged: its CRC32C checksum is wrong",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_header(name: str) -> None:
    data, why = WRONG[name]
    with pytest.raises(WrongHeaderError, match=why) as raised:
        Parser().feed(data)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("data", [b"G", b"\r\n\r\nG", b"PROXY\t"])
def test_what_is_no_header_is_known_from_its_first_bytes(data: bytes) -> None:
    with pytest.raises(WrongHeaderError):
        Parser().feed(data)


def test_checksum() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # the polynomial's usual check value
    header = parse(encoder.with_checksum(BLOCK))
    assert header.source == FROM
    assert header.tlv(3) is not None
    assert header.tlv(2) is None


ports = st.integers(0, 65535)
ip4 = st.tuples(st.ip_addresses(v=4).map(str), ports)
ip6 = st.tuples(st.ip_addresses(v=6).map(str), ports)
pairs = st.one_of(st.tuples(ip4, ip4), st.tuples(ip6, ip6))
tlvs = st.lists(
    st.tuples(st.integers(0, 255).filter(lambda kind: kind != 3), st.binary(max_size=300)),
    max_size=8,
)


def feed_in_pieces(data: bytes, cuts: list[int]) -> tuple[Parser, int]:
    """Feed a parser at these places, as a socket would; how much it has taken of all."""
    parser, taken = Parser(), 0
    for cut in [*sorted(cut for cut in cuts if cut < len(data)), len(data)]:
        while taken < cut and parser.wanted:
            piece = data[taken : min(cut, taken + parser.wanted)]
            step = parser.feed(piece)
            assert step == len(piece) or parser.header is not None
            assert taken + step <= LONGEST
            taken += step
    return parser, taken


@given(pairs, st.binary(max_size=200), st.lists(st.integers(0, 300)))
def test_lines_there_and_back(
    pair: tuple[encoder.IP, encoder.IP], after: bytes, cuts: list[int]
) -> None:
    data = encoder.line(*pair)
    parser, taken = feed_in_pieces(data + after, cuts)
    assert taken == len(data) <= LONGEST_LINE
    assert parser.header is not None
    for name, (host, port) in zip(
        (parser.header.source, parser.header.destination), pair, strict=True
    ):
        assert isinstance(name, tuple)
        assert ipaddress.ip_address(name[0]) == ipaddress.ip_address(host)
        assert name[1] == port


@given(pairs, tlvs, st.booleans(), st.binary(max_size=200), st.lists(st.integers(0, 3000)))
def test_blocks_there_and_back(
    pair: tuple[encoder.IP, encoder.IP],
    values: list[tuple[int, bytes]],
    checksum: bool,
    after: bytes,
    cuts: list[int],
) -> None:
    family = "INET6" if ":" in pair[0][0] else "INET"
    data = encoder.block(encoder.addresses(*pair), family=family, tlvs=values)
    if checksum:
        data = encoder.with_checksum(data)
    parser, taken = feed_in_pieces(data + after, cuts)
    assert taken == len(data)
    assert parser.header is not None
    assert isinstance(parser.header.source, tuple)
    assert ipaddress.ip_address(parser.header.source[0]) == ipaddress.ip_address(pair[0][0])
    assert parser.header.tlvs[: len(values)] == tuple(values)
    assert len(parser.header.tlvs) == len(values) + checksum


paths = st.binary(min_size=1, max_size=108).filter(lambda path: b"\0" not in path)


@given(paths, paths)
def test_paths_there_and_back(source: bytes, destination: bytes) -> None:
    header = parse(encoder.block(encoder.paths(source, destination), family="UNIX"))
    assert header.source == os.fsdecode(source)
    assert header.destination == os.fsdecode(destination)


damaged = st.builds(
    lambda data, at, byte: data[: at % len(data)] + bytes([byte]) + data[at % len(data) + 1 :],
    st.sampled_from([data for data, _ in TRANSCRIPTS.values()]),
    st.integers(0),
    st.integers(0, 255),
)
begun = st.builds(
    lambda head, rest: head + rest,
    st.sampled_from(
        [b"PROXY ", b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN", encoder.SIGNATURE,
         encoder.SIGNATURE + b"\x21", encoder.SIGNATURE + b"\x21\x11" + struct.pack(">H", 40)]
    ),
    st.binary(max_size=200),
)  # fmt: skip


@given(st.one_of(st.binary(max_size=200), damaged, begun), st.lists(st.integers(0, 300)))
def test_anything_else_is_wrong_in_one_way(data: bytes, cuts: list[int]) -> None:
    with suppress(WrongHeaderError):
        parser, taken = feed_in_pieces(data, cuts)
        assert parser.header is not None or taken == len(data)
