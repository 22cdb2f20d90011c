"""netkit's reader does what asyncio's does: both hear the same, and say the same."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netkit.streams import Reader

LIMIT = 20


class Transport(asyncio.Transport):
    """Knows whether it is paused."""

    paused = False

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Side:
    """One reader, and whoever reads from it: one at a time."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self.reader = reader
        self.transport = Transport()
        reader.set_transport(self.transport)
        self.reading: asyncio.Task[Any] | None = None
        self.read: list[Any] = []

    def begin(self, verb: str, *args: Any) -> None:
        reading: Coroutine[Any, Any, Any] = getattr(self.reader, verb)(*args)
        self.reading = asyncio.get_running_loop().create_task(reading)

    async def settle(self) -> None:
        """Let whoever reads go as far as they come."""
        for _ in range(5):
            await asyncio.sleep(0)  # a turn of the loop
        if self.reading is not None and self.reading.done():
            self.read.append(told(self.reading))
            self.reading = None

    def state(self) -> tuple[Any, ...]:
        return self.read, self.reading is None, self.reader.at_eof(), self.transport.paused

    async def leave(self) -> None:
        if self.reading is not None:
            self.reading.cancel()
            await asyncio.wait([self.reading])


def told(task: asyncio.Task[Any]) -> Any:
    if task.cancelled():
        return "cancelled"
    match task.exception():
        case None:
            assert type(task.result()) is bytes
            return task.result()
        case asyncio.IncompleteReadError() as error:
            return "incomplete", error.partial, error.expected
        case asyncio.LimitOverrunError() as error:
            return "overrun", error.consumed, str(error)
        case error:
            return repr(error)


words = st.sampled_from([b"a", b"\n", b"\r", b"\r\n", b"two", b"x" * 6, b"y" * 13])
"""Of which lines of all lengths around the limit are made, in pieces cut anywhere."""
steps = st.lists(
    st.tuples(st.just("feed"), st.lists(words, max_size=6).map(b"".join))
    | st.tuples(st.just("read"), st.sampled_from([-1, 0, 1, 3, 20, 100]))
    | st.tuples(st.just("readexactly"), st.sampled_from([-1, 0, 1, 3, 20, 100]))
    | st.tuples(st.just("readline"), st.none())
    | st.tuples(st.just("readuntil"), st.sampled_from([b"\n", b"\r\n", b"two", b""]))
    | st.tuples(st.just("feed and readline"), st.lists(words, max_size=6).map(b"".join))
    | st.tuples(st.just("cancel"), st.none()),
    max_size=40,
)
ends = st.sampled_from([None, "eof", "exception"])


@settings(max_examples=400)
@given(steps, ends, st.integers(0, 30))
def test_it_reads_as_asyncio_does(steps: list[tuple[str, Any]], end: str | None, when: int) -> None:
    async def compare() -> None:
        loop = asyncio.get_running_loop()
        sides = [Side(asyncio.StreamReader(LIMIT, loop)), Side(Reader(LIMIT, loop))]
        for number, (verb, what) in enumerate(steps):
            for side in sides:
                if number == when and end is not None:
                    conclude(side.reader, end)
                if verb.startswith("feed") and not (end is not None and number >= when):
                    side.reader.feed_data(what)
                if verb == "cancel" and side.reading is not None:
                    side.reading.cancel()
                elif verb == "feed and readline" and side.reading is None:
                    side.begin("readline")
                elif verb.startswith("read") and side.reading is None:
                    side.begin(verb, *([] if what is None else [what]))
                await side.settle()
            theirs, ours = (side.state() for side in sides)
            if end is not None and number >= when:  # asyncio then resumes what has ended
                theirs, ours = theirs[:-1], ours[:-1]
            assert ours == theirs
        for side in sides:
            await side.leave()

    asyncio.run(compare())


def conclude(reader: asyncio.StreamReader, end: str) -> None:
    if end == "exception":
        reader.set_exception(ConnectionResetError("gone"))
    else:
        reader.feed_eof()


@pytest.mark.parametrize("verb", ["readline", "readexactly"])
async def test_what_comes_in_single_bytes_is_not_copied_again_and_again(verb: str) -> None:
    """This would take minutes."""
    size = 300_000
    reader = Reader(2 * size, asyncio.get_running_loop())
    wanted = reader.readline() if verb == "readline" else reader.readexactly(size + 1)
    reading = asyncio.create_task(wanted)
    for _ in range(size):
        reader.feed_data(b"x")
        if reader._waiter is None:
            await asyncio.sleep(0)  # a turn of the loop
    reader.feed_data(b"\n")
    assert await reading == b"x" * size + b"\n"


@pytest.mark.parametrize("kind", [asyncio.StreamReader, Reader])
async def test_the_peer_is_held_back_above_twice_the_limit_and_until_it(kind: Any) -> None:
    reader = kind(LIMIT, asyncio.get_running_loop())
    transport = Transport()
    reader.set_transport(transport)
    reader.feed_data(b"x" * 2 * LIMIT)
    assert not transport.paused
    reader.feed_data(b"x")
    assert transport.paused
    await reader.readexactly(LIMIT)
    assert transport.paused
    await reader.readexactly(1)
    assert not transport.paused


async def test_one_of_several_separators() -> None:
    reader = Reader(LIMIT, asyncio.get_running_loop())
    reader.feed_data(b"one\rtwo\nthree")
    assert await reader.readuntil((b"\n", b"\r")) == b"one\r"
    assert await reader.readuntil((b"\n", b"\r")) == b"two\n"
    reader.feed_data(b"\r\n")
    assert await reader.readuntil((b"\r\n", b"\n")) == b"three\r\n"
    with pytest.raises(ValueError, match="at least one element"):
        await reader.readuntil(())


async def test_who_was_too_late_waits_on() -> None:
    """Two read at once: asyncio tells the one for whom nothing is left that it is the end."""
    reader = Reader(LIMIT, asyncio.get_running_loop())
    late = asyncio.create_task(reader.read(100))
    await asyncio.sleep(0)  # a turn of the loop
    reader.feed_data(b"one")
    assert await reader.read(100) == b"one"
    reader.feed_data(b"two")
    assert await late == b"two"


async def test_only_one_may_wait() -> None:
    reader = Reader(LIMIT, asyncio.get_running_loop())
    first = asyncio.create_task(reader.read(100))
    await asyncio.sleep(0)  # a turn of the loop
    with pytest.raises(RuntimeError, match="readline\\(\\) called while another coroutine"):
        await reader.readline()
    reader.feed_eof()
    assert await first == b""


async def test_what_ended_is_not_resumed() -> None:
    """To go on reading would take what a drain leaves unread on purpose."""
    reader = Reader(LIMIT, asyncio.get_running_loop())
    transport = Transport()
    reader.set_transport(transport)
    reader.feed_data(b"x" * 100)
    assert transport.paused
    reader.feed_eof()
    assert await reader.read() == b"x" * 100
    assert transport.paused


async def test_iteration_and_bytes_of_any_kind() -> None:
    reader = Reader(LIMIT, asyncio.get_running_loop())
    reader.feed_data(bytearray(b"one\ntw"))
    reader.feed_data(memoryview(b"o\n"))
    reader.feed_eof()
    assert [line async for line in reader] == [b"one\n", b"two\n"]


async def test_how_it_looks_in_a_debugger() -> None:
    reader = Reader(LIMIT, asyncio.get_running_loop())
    reader.set_transport(Transport())
    assert repr(reader) == "<Reader 0 bytes>"
    reader.feed_data(b"x" * 41)
    reader.feed_eof()
    reader.set_exception(ConnectionResetError("gone"))
    assert repr(reader) == "<Reader 41 bytes, eof, paused, exception=ConnectionResetError('gone')>"


async def test_a_transport_that_cannot_pause() -> None:
    reader = Reader(LIMIT, asyncio.get_running_loop())
    reader.set_transport(asyncio.Transport())
    reader.feed_data(b"x" * 100)
    reader.feed_data(b"x" * 100)
    assert await reader.readexactly(200) == b"x" * 200
