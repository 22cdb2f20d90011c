"""Chunks become blocks of whole lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netkit.subprocesses.lines import Blocks

chunks = st.lists(st.binary(min_size=1, max_size=12).map(lambda b: b.replace(b"a", b"\n")))


@given(chunks, st.integers(1, 40))
def test_nothing_is_lost_and_lines_stay_whole(script: list[bytes], longest: int) -> None:
    blocks = Blocks(longest)
    told = [block for chunk in script if (block := blocks.feed(chunk))]
    rest = blocks.end()
    assert b"".join([*told, rest]) == b"".join(script)
    assert len(rest) < longest
    assert b"\n" not in rest
    for block in told:
        # A block ends with a line, or with a piece of one that is too long.
        assert block.endswith(b"\n") or len(block.rpartition(b"\n")[2]) >= longest


def test_a_whole_chunk_is_not_copied() -> None:
    chunk = b"one\ntwo\n"
    assert Blocks().feed(chunk) is chunk


def test_what_is_held_is_bounded() -> None:
    blocks = Blocks(longest=100)
    for _ in range(1000):
        blocks.feed(b"x")
        assert len(blocks._rest) < 100
