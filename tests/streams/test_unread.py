"""What nobody has read yet, as transcripts; and against a plain bytearray."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from netkit.streams.unread import LARGE, SMALL, Unread


def holding(*pieces: bytes) -> Unread:
    unread = Unread()
    for piece in pieces:
        unread.add(piece)
    return unread


def test_a_piece_that_is_taken_whole_is_not_copied() -> None:
    piece = b"x" * 65536
    assert holding(piece).take(65536) is piece
    assert holding(piece).take(1_000_000) is piece


def test_a_piece_behind_one_that_was_taken_is_not_copied() -> None:
    first, second = b"x" * 5000, b"y" * 5000
    unread = holding(first, second)
    assert unread.take(5000) is first
    assert unread.take(5000) is second
    assert not unread


def test_several_pieces_are_joined_up_to_what_is_asked_for() -> None:
    unread = holding(b"one", b"two", b"three")
    assert unread.take(8) == b"onetwoth"
    assert (unread.take(100), len(unread)) == (b"ree", 0)


def test_who_takes_some_gets_a_large_piece_alone_and_small_ones_together() -> None:
    large = b"x" * LARGE
    unread = holding(b"one", b"two", large, large)
    assert unread.take_some(6) == b"onetwo"
    assert unread.take_some(1_000_000) is large
    assert unread.take_some(10) == b"x" * 10
    assert unread.take_some(LARGE) == b"x" * (LARGE - 10)


def test_lines_of_one_piece_leave_it_where_it_is() -> None:
    unread = holding(b"one\ntwo\n")
    piece = unread.front
    assert unread.take(unread.find((b"\n",), 0)[1]) == b"one\n"
    assert unread.front is piece
    assert unread.take(unread.find((b"\n",), 0)[1]) == b"two\n"


def test_a_separator_is_found_across_pieces() -> None:
    unread = holding(b"one\r", b"\ntwo")
    assert unread.find((b"\r\n",), 0) == (3, 5)
    assert unread.take(5) == b"one\r\n"
    unread.add(b"!")
    assert unread.take(9) == b"two!"


def test_the_first_separator_to_end_is_the_one() -> None:
    assert holding(b"abcd").find((b"cd", b"bcd", b"abc"), 0) == (0, 3)
    assert holding(b"abcd").find((b"xy",), 0) == (0, 0)


def test_single_bytes_take_little_more_than_they_are() -> None:
    size = 128 * 1024
    unread = holding(b"x" * 1000)
    for number in range(size):
        unread.add(bytes((number % 256,)))
    held = sum(map(sys.getsizeof, unread._behind)) + sys.getsizeof(unread._behind)
    assert held < 1.2 * size
    assert unread.take(1000) == b"x" * 1000
    assert unread.take(size) == bytes(range(256)) * (size // 256)


def test_large_pieces_are_never_joined_before_they_are_taken() -> None:
    pieces = [bytes((number,)) * SMALL for number in range(100)]
    unread = holding(*pieces)
    assert all(unread.take(SMALL) is piece for piece in pieces)


pieces = st.binary(min_size=1, max_size=20) | st.sampled_from(
    [b"\n", b"\r", b"\r\n", b"x" * SMALL, b"y" * (SMALL - 1) + b"\n"]
)
steps = st.lists(
    st.tuples(st.just("add"), pieces)
    | st.tuples(st.just("add many"), st.integers(1, 200))
    | st.tuples(st.just("take"), st.integers(1, 3 * SMALL))
    | st.tuples(st.just("find"), st.sampled_from([(b"\n",), (b"\r\n",), (b"\r\n", b"\n")])),
    max_size=60,
)


@given(steps)
def test_it_holds_what_a_bytearray_would(steps: list[tuple[str, object]]) -> None:
    unread, model = Unread(), bytearray()
    for verb, what in steps:
        match verb, what:
            case "add", bytes():
                model += what
                assert unread.add(what) == len(model)
            case "add many", int():
                for number in range(what):
                    unread.add(b"%d" % (number % 10))
                    model += b"%d" % (number % 10)
            case "take", int() if model:
                assert unread.take(what) == model[:what]
                del model[:what]
            case "find", tuple():
                ends = [
                    (at + len(separator), at)
                    for separator in what
                    if (at := model.find(separator)) >= 0
                ]
                end, begin = min(ends, default=(0, 0))
                assert unread.find(what, 0) == (begin, end)
        assert len(unread) == len(model)
        assert bool(unread) == bool(model)
