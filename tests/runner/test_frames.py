"""Frames: what is packed is read back; whatever else comes is a FrameError, and bounded."""

from __future__ import annotations

import itertools
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.jobs.credit import Allowance, Window, checked_window
from netkit.jobs.frames import HEAD, LAST_JOB, LONGEST, Frame, FrameError, Frames, Kind
from netkit.jobs.messages import Exit, Hello, Start, Started, encode
from tests.house import ROOT

FRAMES = st.builds(Frame, st.sampled_from(Kind), st.integers(0, LAST_JOB), st.binary(max_size=99))


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[one:other] for one, other in itertools.pairwise(places)]


@given(st.lists(FRAMES, max_size=8), st.lists(st.integers(0, 2000), max_size=20))
def test_what_is_packed_is_read_back_in_any_split(frames: list[Frame], cuts: list[int]) -> None:
    reader = Frames()
    data = b"".join(frame.pack() for frame in frames)
    assert [frame for part in split(data, cuts) for frame in reader.feed(part)] == frames
    assert reader.held == 0


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=20))
def test_any_bytes_are_frames_or_a_frame_error(data: bytes, cuts: list[int]) -> None:
    reader = Frames()
    with suppress(FrameError):
        for part in split(data, cuts):
            for frame in reader.feed(part):
                assert len(frame.payload) <= LONGEST
            assert reader.held < HEAD.size + LONGEST


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xff\xff\xff\xff", "a frame of 4294967295 bytes"),
        ((5 + LONGEST + 1).to_bytes(4, "big"), "a frame of 65542 bytes"),
        (b"\0\0\0\4", "a frame of 4 bytes"),
        (b"\0\0\0\5\0", "unknown kind 0"),
        (b"\0\0\0\5\x63", "unknown kind 99"),
        (b"\0\0\0\5\1\x80\0\0\0", "job number 2147483648"),
    ],
)
def test_what_is_wrong_shows_at_its_first_byte(data: bytes, why: str) -> None:
    reader = Frames()
    assert list(reader.feed(data[:-1])) == []
    with pytest.raises(FrameError, match=why):
        list(reader.feed(data[-1:]))


def test_the_longest_frame() -> None:
    frame = Frame(Kind.STDIN, LAST_JOB, bytes(LONGEST))
    assert list(Frames().feed(frame.pack())) == [frame]


def test_credit_runs_out_and_is_granted_again() -> None:
    window, allowance = Window(1000), Allowance(1000)
    allowance.take(1000)
    window.arrived(1000)
    with pytest.raises(FrameError, match="more data than was granted"):
        window.arrived(1)
    assert window.taken(499) == b""
    allowance.grant(window.taken(1))
    assert allowance.left == 500
    window.arrived(500)


def test_credit_without_end_is_an_error() -> None:
    allowance = Allowance(1000)
    with pytest.raises(FrameError, match="more than"):
        allowance.grant(b"\xff\xff\xff\xff")
    with pytest.raises(FrameError, match="4 are asked for"):
        allowance.grant(b"\1")
    for window in (0, 1023, 2**31):
        with pytest.raises(FrameError, match="window"):
            checked_window(window)


def example() -> list[bytes]:
    """The lines of bytes in the page's example."""
    page = (ROOT / "docs" / "runner-protocol.md").read_text()
    block = page[page.index("## Example") :].split("```")[1]
    found = [re.match(r"[<>] ((?:[0-9a-f]{2} ?)+)", line) for line in block.splitlines()]
    return [bytes.fromhex(match[1]) for match in found if match]


def test_the_example_of_the_page() -> None:
    end = Exit(0, None, "exit", 0.25, user=0.001, system=0.0, max_rss=1_048_576)
    frames = [
        Frame(Kind.HELLO, 0, encode(Hello((1,)))),
        Frame(Kind.HELLO, 0, encode(Hello((1,)))),
        Frame(Kind.START, 1, encode(Start("echo", ("hi",)))),
        Frame(Kind.STARTED, 1, encode(Started("00c0ffee00c0ffee"))),
        Frame(Kind.STDOUT, 1, b"hi\n"),
        Frame(Kind.EXIT, 1, encode(end)),
    ]
    assert b"".join(example()) == b"".join(frame.pack() for frame in frames)
    assert list(Frames().feed(b"".join(example()))) == frames


def test_the_page_names_every_kind() -> None:
    page = (ROOT / "docs" / "runner-protocol.md").read_text()
    for kind in Kind:
        assert f"| {int(kind)} | {kind.name} |" in page
