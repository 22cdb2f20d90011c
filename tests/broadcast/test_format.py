"""The header of docs/feed-format.md: the page's example is true, and damage is named."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netkit.feeds.format import SIZE, Flag, Header, Kind, MalformedError, unpack
from tests.house import ROOT

NUMBERS = st.integers(0, 2**32 - 1)
WORDS = st.integers(0, 2**64 - 1)
HEADERS = st.builds(
    Header, st.sampled_from(Kind), NUMBERS, NUMBERS, WORDS, WORDS, NUMBERS,
    st.integers(0, 7).map(Flag),
)  # fmt: skip


@given(HEADERS, st.binary(max_size=40))
def test_what_is_packed_is_read_back(header: Header, payload: bytes) -> None:
    packed = header.pack()
    assert len(packed) == SIZE
    assert unpack(packed + payload) == header
    assert unpack(memoryview(packed + payload)) == header


@given(HEADERS)
def test_one_more_flag(header: Header) -> None:
    assert header.flagged(Flag.END).flags == header.flags | Flag.END


def of_the_example() -> bytes:
    """The bytes of the example, read out of the page."""
    page = (ROOT / "docs" / "feed-format.md").read_text()
    block = page[page.index("## Example") :].split("```")[1]
    lines = [re.match(r"(?:[0-9a-f]{2} +)+", line) for line in block.strip().splitlines()]
    assert all(lines), "each line of the example begins with bytes"
    return bytes.fromhex("".join(line[0] for line in lines if line))


def test_the_example_of_the_page() -> None:
    started = 1_767_225_600  # 2026-01-01 00:00:00 UTC
    header = Header(
        Kind.DATA, 0x1A2B3C4D, started, 2, started * 1_000_000_000 + 250_000_000, extra=1
    )
    assert of_the_example() == header.pack() + b"hello"
    assert unpack(of_the_example()) == header


@pytest.mark.parametrize(
    ("damage", "slug"),
    [
        (slice(31, None), "short"),
        (slice(0, None), "short"),
        ((0, 0x4F), "magic"),
        ((1, 0), "magic"),
        ((2, 0x20), "version"),
        ((2, 0x00), "version"),
        ((2, 0x19), "kind"),
        ((2, 0x1F), "kind"),
    ],
)
def test_each_damage_has_its_name(damage: slice | tuple[int, int], slug: str) -> None:
    datagram = bytearray(Header(Kind.DATA, 1, 2, 3, 4).pack())
    if isinstance(damage, slice):
        del datagram[damage]
    else:
        at, value = damage
        datagram[at] = value
    with pytest.raises(MalformedError) as caught:
        unpack(bytes(datagram))
    assert caught.value.slug == slug


@given(st.binary(max_size=80) | st.binary(max_size=80).map(lambda tail: b"NK" + tail))
@example(b"NK\x10\xff" + bytes(28))
def test_any_bytes_are_a_header_or_have_a_name(datagram: bytes) -> None:
    try:
        header = unpack(datagram)
    except MalformedError as error:
        slug = error.slug
    else:
        assert header.pack() == datagram[:SIZE]
        return
    assert slug in {"short", "magic", "version", "kind"}
