"""A ClientHello taken apart: by hand, from real programs, cut anywhere, and by chance."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netkit.tls import hello, registry
from netkit.tls.hello import WrongHelloError, is_grease, parse, server_name
from tests.tlsserver.hellos import message, of_python, parsed, records, shorts, vector

SNI = vector(2, b"\0" + vector(2, b"example.org"))
SHARES = vector(2, shorts([0x1A1A]) + vector(2, b"\0") + shorts([29]) + vector(2, bytes(32)))
KEYS = vector(2, vector(2, b"ticket") + bytes(4)) + vector(2, vector(1, bytes(32)))
EXTENSIONS = [
    (0x2A2A, b""),
    (0, SNI),
    (10, vector(2, shorts([0x1A1A, 29, 23]))),
    (11, vector(1, b"\0")),
    (13, vector(2, shorts([0x0403, 0x0804]))),
    (16, vector(2, vector(1, b"h2") + vector(1, b"http/1.1"))),
    (35, b"old ticket"),
    (42, b""),
    (43, vector(1, shorts([0x3A3A, 0x0304, 0x0303]))),
    (51, SHARES),
    (41, KEYS),
]
WHOLE = message([0x4A4A, 0x1301, 0xC02B], EXTENSIONS, session_id=b"session")


def test_every_field() -> None:
    found = parse(records(WHOLE))
    assert found.version == 0x0303
    assert found.random == bytes(range(32))
    assert found.session_id == b"session"
    assert found.suites == (0x4A4A, 0x1301, 0xC02B)
    assert found.extensions == (0x2A2A, 0, 10, 11, 13, 16, 35, 42, 43, 51, 41)
    assert found.versions == (0x3A3A, 0x0304, 0x0303)
    assert found.newest == 0x0304
    assert found.groups == (0x1A1A, 29, 23)
    assert found.point_formats == (0,)
    assert found.signatures == (0x0403, 0x0804)
    assert found.alpn == (b"h2", b"http/1.1")
    assert found.server_name == "example.org"
    assert found.key_shares == (0x1A1A, 29)
    assert found.ticket
    assert found.pre_shared_keys == 1
    assert found.early_data


def test_a_hello_from_before_extensions() -> None:
    found = parsed([0x002F])
    assert (found.suites, found.extensions, found.newest) == ((0x002F,), (), 0x0303)
    assert (found.server_name, found.ticket, found.alpn) == (None, False, ())


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_in_records_of_any_size(size: int) -> None:
    assert parse(records(WHOLE, size)) == parse(records(WHOLE))


def test_what_follows_is_not_looked_at() -> None:
    assert parse(records(WHOLE) + b"anything") == parse(records(WHOLE))
    assert parse(records(WHOLE + b"\x0b\0\0\0")) == parse(records(WHOLE))


def test_the_name_alone() -> None:
    assert server_name(records(WHOLE, 7)) == "example.org"
    assert server_name(records(message(extensions=[(10, vector(2, shorts([29])))]))) is None
    with pytest.raises(WrongHelloError):
        server_name(records(WHOLE)[:60])


def test_of_python() -> None:
    found = parse(of_python("h2", "http/1.1"))
    assert found.server_name == "example.org"
    assert found.alpn == (b"h2", b"http/1.1")
    assert found.newest == 0x0304
    assert found.key_shares[0] in found.groups
    assert not found.ticket


def test_a_name_that_is_not_ascii_stays_one_line_of_ascii() -> None:
    name = vector(2, b"\0" + vector(2, "exämple".encode()))
    assert parsed(extensions=[(0, name)]).server_name == r"ex\xc3\xa4mple"


@pytest.mark.parametrize("cut", range(0, len(WHOLE) + 5, 3))
def test_cut_short(cut: int) -> None:
    with pytest.raises(WrongHelloError):
        parse(records(WHOLE)[:cut])


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"", "ends 1 bytes early"),
        (b"GET / HTTP/1.1\r\n\r\n", "type 71"),
        (b"\x16\x03\x01\0\0", "a record of 0 bytes"),
        (b"\x16\x03\x01\x40\x01" + bytes(16_385), "a record of 16385 bytes"),
        (records(b"\x02\0\0\0"), "type 2, not ClientHello"),
        (records(b"\x01\xff\xff\xff"), "too long"),
        (records(message(extensions=[(5, b""), (5, b"")])), "twice"),
        (records(message(extensions=[(13, vector(2, b"\1\2\3"))])), "ends 1 bytes early"),
        (records(message(extensions=[(16, vector(2, b"") + b"x")])), "left in extension 16"),
        (records(b"\x01" + vector(3, message(extensions=[(5, b"")])[4:] + b"x")), "left behind"),
    ],
)
def test_what_is_wrong_is_said(sent: bytes, why: str) -> None:
    with pytest.raises(WrongHelloError, match=why):
        parse(sent)


def test_more_than_the_bound_is_not_read() -> None:
    many = [(number, bytes(1000)) for number in range(1000, 1064)]
    assert len(parse(records(message(extensions=many[:60]))).extensions) == 60
    with pytest.raises(WrongHelloError):
        parse(records(message([0x1301] * 2000, many)))


def assert_names_agree(sent: bytes) -> None:
    """Take it apart, and ask for its name alone: one answer, if it is a hello at all."""
    try:
        found = parse(sent)
    except WrongHelloError:
        with contextlib.suppress(WrongHelloError):
            server_name(sent)
    else:
        assert server_name(sent) == found.server_name


@given(st.binary(max_size=300))
@example(records(b"\x01\0\0"))
def test_any_bytes_give_a_hello_or_the_one_error(sent: bytes) -> None:
    assert_names_agree(sent)


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255), st.integers(1, 400))
def test_a_changed_byte_gives_a_hello_or_the_one_error(at: int, byte: int, size: int) -> None:
    changed = bytearray(WHOLE)
    changed[at] = byte
    assert_names_agree(records(bytes(changed), size))


@given(st.dictionaries(st.integers(0, 65_535), st.binary(max_size=40), max_size=20))
def test_any_extensions_give_a_hello_or_the_one_error(bodies: dict[int, bytes]) -> None:
    try:
        found = parsed(extensions=list(bodies.items()))
    except WrongHelloError:
        return
    assert found.extensions == tuple(bodies)


def test_grease() -> None:
    numbers = [number for number in range(65_536) if is_grease(number)]
    assert len(numbers) == 16  # RFC 8701 section 2
    assert (numbers[0], numbers[1], numbers[-1]) == (0x0A0A, 0x1A1A, 0xFAFA)


def test_names() -> None:
    assert registry.name(registry.GROUPS, 29) == "x25519"
    assert registry.name(registry.SUITES, 0x1301) == "TLS_AES_128_GCM_SHA256"
    assert registry.name(registry.SUITES, 0xC0AF) == "0xc0af"
    assert registry.name(registry.EXTENSIONS, 0x2A2A) == "GREASE 0x2a2a"


def test_every_number_that_is_taken_apart_has_a_name() -> None:
    taken = [hello.SERVER_NAME, hello.GROUPS, hello.POINT_FORMATS, hello.SIGNATURES, hello.ALPN]
    taken += [hello.SESSION_TICKET, hello.PRE_SHARED_KEY, hello.EARLY_DATA]
    taken += [hello.VERSIONS, hello.KEY_SHARE]
    assert set(taken) <= set(registry.EXTENSIONS)
