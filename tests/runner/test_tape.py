"""Output between a job and its watchers: in order, bounded, at each one's pace."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netkit.servers.runner.tape import COST, PIECE, Cursor, Stream, Tape


def everything(tape: Tape, cursor: Cursor, most: int = PIECE) -> list[tuple[Stream, bytes]]:
    read = []
    while piece := tape.read(cursor, most):
        read.append(piece)
    return read


STREAMS = st.sampled_from(["stdout", "stderr"])


@given(st.lists(st.tuples(STREAMS, st.binary(min_size=1, max_size=40))), st.integers(1, 60))
def test_each_watcher_reads_all_in_order(parts: list[tuple[Stream, bytes]], most: int) -> None:
    tape, early = Tape(), Cursor()
    heard: list[tuple[Stream, bytes]] = []
    for stream, data in parts:
        tape.append(stream, data)
        heard += everything(tape, early, most)
    late = everything(tape, Cursor(), most)
    for read in (heard, late):
        assert b"".join(data for _, data in read) == b"".join(data for _, data in parts)
        for wanted in ("stdout", "stderr"):
            assert b"".join(data for stream, data in read if stream == wanted) == b"".join(
                data for stream, data in parts if stream == wanted
            )
    assert tape.is_read(early)


def test_without_credit_nothing_is_read_and_nothing_is_over() -> None:
    tape, cursor = Tape(), Cursor()
    assert tape.is_read(cursor)
    tape.append("stdout", b"ab")
    assert tape.read(cursor, 0) is None
    assert not tape.is_read(cursor)


def test_small_bits_take_the_memory_of_what_they_hold() -> None:
    tape = Tape()
    for _ in range(PIECE):
        tape.append("stdout", b"x")
    assert tape.held == PIECE + COST


def test_the_oldest_is_dropped_and_counted() -> None:
    tape, slow, quick = Tape(), Cursor(), Cursor()
    for number in range(10):
        tape.append("stdout", bytes([number]) * PIECE)
        everything(tape, quick)
    assert tape.read(slow, 10) == ("stdout", bytes(10))
    tape.shorten(3 * (PIECE + COST))
    assert tape.held == 3 * (PIECE + COST)
    assert tape.lost(slow) == 7 * PIECE - 10
    assert tape.lost(slow) == 0
    assert tape.read(slow, 1) == ("stdout", b"\7")
    assert tape.lost(quick) == 0
    assert tape.is_read(quick)


def test_large_output_is_cut_into_pieces() -> None:
    tape, cursor = Tape(), Cursor()
    tape.append("stderr", bytes(5 * PIECE + 1))
    assert len(everything(tape, cursor, 10 * PIECE)) == 6
    tape.forget(cursor)
    assert tape.held == 1 + COST
