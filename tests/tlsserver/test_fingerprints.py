"""JA3 and JA4: what their authors published, and what Wireshark makes of real hellos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from netkit.tls.fingerprints import ja3, ja3_text, ja4, ja4_text
from netkit.tls.hello import ClientHello, parse
from tests.tlsserver.hellos import (
    NODE,
    message,
    of_program,
    of_python,
    parsed,
    records,
    shorts,
    tshark,
    vector,
)

# The example of JA4.md, in the order of its raw fingerprint with original order.
SUITES = [0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC013]
SUITES += [0xC014, 0x009C, 0x009D, 0x002F, 0x0035]
EXTENSIONS = [0x001B, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002D, 0x000D, 0x0005, 0x0023]
EXTENSIONS += [0x0012, 0x002B, 0xFF01, 0x000B, 0x000A, 0x0015]
SIGNATURES = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601]


def made(
    suites: Sequence[int] = (),
    extensions: Sequence[int] = (),
    *,
    signatures: Sequence[int] = (),
    alpn: tuple[bytes, ...] = (),
    versions: tuple[int, ...] = (),
    version: int = 0x0303,
) -> ClientHello:
    return ClientHello(
        version,
        bytes(32),
        b"",
        tuple(suites),
        (0,),
        tuple(extensions),
        versions=versions,
        signatures=tuple(signatures),
        alpn=alpn,
    )


def test_ja4_of_its_description() -> None:
    hello = made(
        SUITES, EXTENSIONS, signatures=SIGNATURES, alpn=(b"h2", b"http/1.1"), versions=(0x304,)
    )
    assert ja4(hello) == "t13d1516h2_8daaf6152771_e5627efa2ab1"
    assert ja4_text(hello) == (
        "t13d1516h2_002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9"
        "_0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01"
        "_0403,0804,0401,0503,0805,0501,0806,0601"
    )


def test_ja4_does_not_count_grease_nor_mind_the_order() -> None:
    plain = made(SUITES, EXTENSIONS, signatures=SIGNATURES, versions=(0x303, 0x304))
    greased = made(
        [0x1A1A, *reversed(SUITES)],
        [0xFAFA, *reversed(EXTENSIONS), 0x0A0A],
        signatures=[0x2A2A, *SIGNATURES],
        versions=(0xFAFA, 0x304, 0x303),
    )
    assert ja4(greased) == ja4(plain)


def test_ja4_without_signature_algorithms() -> None:
    assert ja4(made(SUITES, EXTENSIONS)).endswith("_6d807ffa2a79")


def test_ja4_of_a_hello_with_nothing() -> None:
    assert ja4(made(version=0x0301)) == "t10i000000_000000000000_000000000000"


@pytest.mark.parametrize(
    ("first", "shown"),
    [
        ("h2", "h2"),
        ("http/1.1", "h1"),
        ("", "00"),
        ("x", "xx"),
        ("\xab", "ab"),
        ("\xab\xcd", "ad"),
        ("\x30\xab", "3b"),
        ("\x30\x31\xab\xcd", "3d"),
        ("\x30\xab\xcd\x31", "01"),
    ],
)
def test_ja4_of_the_first_protocol(first: str, shown: str) -> None:
    assert ja4(made(alpn=(first.encode("latin-1"), b"later")))[8:10] == shown


@pytest.mark.parametrize(
    ("version", "shown"),
    [(0x304, "13"), (0x303, "12"), (0x302, "11"), (0x301, "10"), (0x300, "s3"), (0x7F1C, "00")],
)
def test_ja4_of_the_version(version: int, shown: str) -> None:
    assert ja4(made(version=version))[1:3] == shown
    assert ja4(made(versions=(0x0300, version)))[1:3] == shown


def test_ja4_counts_to_99() -> None:
    assert ja4(made(range(1, 201), range(1, 101)))[4:8] == "9999"


# The two examples of JA3's README, from whole hellos.
def test_ja3_of_its_description() -> None:
    suites = [47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4]
    groups, formats = vector(2, shorts([23, 24, 25])), vector(1, b"\0")
    name = vector(2, b"\0" + vector(2, b"example.org"))
    extensions = [(0, name), (10, groups), (11, formats)]
    hello = parse(records(message(suites, extensions, version=0x0301)))
    assert ja3_text(hello) == "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0"
    assert ja3(hello) == "ada70206e40642a3e4461f35503241d5"


def test_ja3_without_extensions() -> None:
    suites = [4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99]
    hello = parse(records(message(suites, version=0x0301)))
    assert ja3_text(hello) == "769,4-5-10-9-100-98-3-6-19-18-99,,,"
    assert ja3(hello) == "de350869b8c85de67a350c8d186f11e6"


def test_ja3_leaves_grease_out() -> None:
    groups = (10, vector(2, shorts([0x1A1A, 29])))
    hello = parsed([0xFAFA, 0x1301], [(0x0A0A, b""), groups])
    assert ja3_text(hello) == "771,4865,10,29,"


PROGRAMS = {
    "curl": ("curl", "-sk", "https://localhost:PORT/"),
    "curl, one protocol": ("curl", "-sk", "--http1.1", "https://127.0.0.1:PORT/"),
    "openssl": ("openssl", "s_client", "-connect", "127.0.0.1:PORT", "-alpn", "irc"),
    "openssl, TLS 1.2": ("openssl", "s_client", "-connect", "localhost:PORT", "-tls1_2"),
    "ncat": ("ncat", "--ssl", "127.0.0.1", "PORT"),
    "node": ("node", "-e", NODE, "PORT"),
}


@pytest.mark.parametrize("program", PROGRAMS)
async def test_of_real_programs_as_wireshark_sees_them(program: str, tmp_path: Path) -> None:
    await agrees(await of_program(*PROGRAMS[program]), tmp_path)


async def test_of_python_as_wireshark_sees_it(tmp_path: Path) -> None:
    await agrees(of_python("h2", "http/1.1"), tmp_path)


async def agrees(sent: bytes, folder: Path) -> None:
    hello, seen = parse(sent), await tshark(sent, folder)
    assert (ja3_text(hello), ja3(hello)) == (seen.ja3_text, seen.ja3)
    assert (hello.suites, hello.extensions) == (seen.suites, seen.extensions)
    assert (hello.server_name or "") == seen.server_name
    assert tuple(each.decode() for each in hello.alpn) == seen.alpn
    assert seen.ja4 in (None, ja4(hello))
