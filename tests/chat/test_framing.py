"""Bytes into lines, however they are cut."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.servers.chat.framing import Framing, TooLong

LIMIT = 16
LONG = TooLong.LINE


def fed(*chunks: bytes, limit: int = LIMIT) -> list[bytes | TooLong]:
    framing = Framing(limit)
    return [line for chunk in chunks for line in framing.feed(chunk)]


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ([b"one\ntwo\n"], [b"one", b"two"]),
        ([b"on", b"e\nt", b"wo\n"], [b"one", b"two"]),
        ([b"telnet\r\n"], [b"telnet\r"]),
        ([b"no end"], []),
        ([b"\n\n"], [b"", b""]),
        ([b"x" * 16 + b"\n"], [b"x" * 16]),
        ([b"x" * 17 + b"\nnext\n"], [LONG, b"next"]),
        ([b"x" * 17, b"x" * 100, b"still\nnext\n"], [LONG, b"next"]),
        ([b"x" * 17, b"\n", b"y" * 17, b"\n"], [LONG, LONG]),
        ([b"\xff\xfd\x06hello\n"], [b"hello"]),
        ([b"\xff", b"\xfd", b"\x06hello\n"], [b"hello"]),
        ([b"a\xff\xf4b\n"], [b"ab"]),
        ([b"a\xff\xffb\n"], [b"ab"]),
        ([b"\xff\xfa\x18\x00XTERM\xff\xf0hello\n"], [b"hello"]),
        ([b"\xff\xfa\x18\x00XT", b"ERM\xff", b"\xf0hello\n"], [b"hello"]),
        ([b"\xff\xfa\x1f\x00\xff\xff\x00\x18\xff\xf0hello\n"], [b"hello"]),
    ],
)
def test_lines(chunks: Sequence[bytes], lines: list[bytes | TooLong]) -> None:
    assert fed(*chunks) == lines


def test_a_subnegotiation_without_end_silences_nobody() -> None:
    assert fed(b"\xff\xfa" + b"z" * 300, b"\nhello\n")[-1] == b"hello"


def test_a_last_line_needs_no_end() -> None:
    framing = Framing(LIMIT)
    assert framing.feed(b"one\ntwo") == [b"one"]
    assert framing.finish() == [b"two"]
    assert framing.finish() == []


def test_every_telnet_option_is_refused_once() -> None:
    framing = Framing(LIMIT)
    framing.feed(b"\xff\xfd\x06\xff\xfb\x18\xff\xfe\x01\xff\xfc\x01")
    assert framing.answer == b"\xff\xfc\x06\xff\xfe\x18"


NASTY = st.binary(max_size=60) | st.lists(
    st.sampled_from([b"\xff", b"\xfa", b"\xf0", b"\xfd", b"\n", b"\r", b"x" * 20, b"\xe2\x80"]),
    max_size=30,
).map(b"".join)


@given(st.lists(NASTY, max_size=12))
def test_any_bytes_in_any_chunks_stay_bounded(chunks: list[bytes]) -> None:
    framing = Framing(LIMIT)
    for chunk in chunks:
        for line in framing.feed(chunk):
            assert line is LONG or (len(line) <= LIMIT and b"\n" not in line and 0xFF not in line)
        assert len(framing._line) <= LIMIT
        assert len(framing._cut) <= 2 + 2 * 256 + 1


@given(NASTY, st.integers(min_value=0, max_value=60))
def test_where_the_chunks_are_cut_makes_no_difference(data: bytes, at: int) -> None:
    assert fed(data[:at], data[at:], b"\n", limit=10_000) == fed(data, b"\n", limit=10_000)
