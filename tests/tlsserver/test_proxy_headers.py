"""Headers that netkit writes: read by its own parser, and byte for byte as the document says."""

from __future__ import annotations

import pytest

from netkit import proxy_headers
from netkit.proxy_headers import ALPN, AUTHORITY, SSL, Secured
from netkit.proxy_protocol import Header, Name, Parser
from tests.proxy import encoder

SIX = ("2001:db8::9", 5000, 0, 0), ("2001:db8::1", 443, 0, 0)


def read(data: bytes) -> Header:
    parser = Parser()
    assert parser.feed(data + b"hello") == len(data)
    assert parser.header is not None
    return parser.header


def test_version_1() -> None:
    assert proxy_headers.line(encoder.FROM, encoder.TO) == encoder.LINE
    assert read(proxy_headers.line(*SIX)) == Header(1, "PROXY", "INET6", "STREAM", *SIX)
    assert read(proxy_headers.line("", "/run/x.sock")) == Header(1, "PROXY")
    zoned = ("fe80::1%lo", 1, 0, 1), ("fe80::2%lo", 2, 0, 1)
    assert read(proxy_headers.line(*zoned)).source == ("fe80::1", 1, 0, 0)


def test_version_2() -> None:
    assert proxy_headers.block(encoder.FROM, encoder.TO) == encoder.BLOCK
    assert read(proxy_headers.block(*SIX)) == Header(2, "PROXY", "INET6", "STREAM", *SIX)


@pytest.mark.parametrize(
    ("source", "seen"), [("/run/client.sock", "/run/client.sock"), (b"\0name", b"\0name"), ("", "")]
)
def test_unix_sockets(source: Name, seen: Name) -> None:
    header = read(proxy_headers.block(source, "/run/x.sock"))
    assert header == Header(2, "PROXY", "UNIX", "STREAM", seen, "/run/x.sock")


def test_for_ourselves() -> None:
    assert read(proxy_headers.local(2)) == Header(2, "LOCAL")
    assert read(proxy_headers.local(1)) == Header(1, "PROXY")


def test_tlvs() -> None:
    tlvs = [(ALPN, b"h2"), (AUTHORITY, b"shop.test"), (0xE0, b"")]
    assert read(proxy_headers.block(encoder.FROM, encoder.TO, tlvs)).tlvs == tuple(tlvs)


def test_a_client_without_certificate() -> None:
    value = proxy_headers.secured(Secured("TLSv1.3", "TLS_AES_256_GCM_SHA384", name="mallory"))
    assert value == (
        b"\x01\0\0\0\x01" b"\x21\0\x07TLSv1.3" b"\x23\0\x16TLS_AES_256_GCM_SHA384"
    )  # fmt: skip


@pytest.mark.parametrize(("resumed", "bits"), [(False, 0x07), (True, 0x05)])
def test_a_client_that_was_verified(resumed: bool, bits: int) -> None:
    secured = Secured("TLSv1.2", "X", resumed=resumed, verified=True, name="Zoë")
    assert proxy_headers.secured(secured) == (
        bytes([bits]) + b"\0\0\0\0" b"\x21\0\x07TLSv1.2" b"\x23\0\x01X" b"\x22\0\x04Zo\xc3\xab"
    )  # fmt: skip


def test_a_name_that_is_none() -> None:
    secured = Secured("TLSv1.3", "X", verified=True, name="a" * 2000)
    assert len(proxy_headers.secured(secured)) == 5 + 10 + 4
    assert SSL == 0x20
