"""Rows taken in a thread, and numbers of slots."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections.abc import Iterator

import pytest

from netkit.clients.run.ahead import Ahead
from netkit.clients.run.slots import Slots
from netkit.errors import UsageError


async def test_gives_all_in_order() -> None:
    ahead = Ahead(iter(range(5000)), most=7)
    assert [item async for item in ahead] == list(range(5000))
    assert ahead.total == 5000


async def test_takes_no_more_than_there_is_room_for() -> None:
    taken: list[int] = []
    full, more = threading.Event(), threading.Event()

    def counting() -> Iterator[int]:
        for number in itertools.count():
            taken.append(number)
            if number == 3:
                full.set()
            if number == 4:
                more.set()
            yield number

    ahead = Ahead(counting(), most=3)
    assert await asyncio.to_thread(full.wait, 10)
    assert taken == [0, 1, 2, 3]  # the last one waits for room
    assert ahead.total is None
    assert await anext(ahead) == 0
    assert await asyncio.to_thread(more.wait, 10)
    assert taken == [0, 1, 2, 3, 4]
    ahead.close()
    with pytest.raises(StopAsyncIteration):
        await anext(ahead)


async def test_what_is_raised_comes_behind_what_was_given() -> None:
    def failing() -> Iterator[int]:
        yield 1
        yield 2
        raise UsageError("no")

    ahead = Ahead(failing())
    assert [await anext(ahead), await anext(ahead)] == [1, 2]
    with pytest.raises(UsageError, match=r"^no$"):
        await anext(ahead)


async def test_closing_ends_the_wait_for_a_read() -> None:
    reading, writing = os.pipe()

    def lines() -> Iterator[bytes]:
        while line := os.read(reading, 10):
            yield line

    ahead = Ahead(lines())
    waiting = asyncio.ensure_future(anext(ahead, None))  # noqa: TID251  # a Future is what it gives
    os.write(writing, b"a")
    assert await waiting == b"a"
    waiting = asyncio.create_task(_next(ahead))
    await asyncio.sleep(0)  # until it waits
    ahead.close()
    assert await waiting is None
    os.close(writing)
    for thread in threading.enumerate():
        if thread.name == "arguments":
            await asyncio.to_thread(thread.join)
    os.close(reading)


async def _next(ahead: Ahead[bytes]) -> bytes | None:
    return await anext(ahead, None)


async def test_slots_are_the_lowest_that_are_free() -> None:
    slots = Slots(2)
    assert [await slots.take(1), await slots.take(2)] == [1, 2]
    third = asyncio.create_task(slots.take(3))
    await asyncio.sleep(0)  # a turn, in which it could have been given
    assert not third.done()
    slots.give_back(2)
    assert await third == 2
    slots.give_back(1)
    slots.give_back(3)
    assert [await slots.take(4), await slots.take(5)] == [1, 2]
