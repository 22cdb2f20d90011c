"""Ticks: which are due, and that a loop gets them."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit import timerfd
from netkit.ticker import SECOND, Schedule, Tick, Ticker

PERIOD = 0.001
WAYS = [False, True] if timerfd.AVAILABLE else [False]
times = st.lists(st.integers(0, 10**12)).map(sorted)


def test_ticks_are_told_once_and_missed_ones_counted() -> None:
    schedule = Schedule(start=100, period=10)
    transcript = [
        (99, None),
        (100, Tick(0, 0)),
        (109, None),
        (110, Tick(1, 0)),
        (129, Tick(2, 0)),  # late, but before the next: not missed
        (130, Tick(3, 0)),
        (171, Tick(7, 3)),
        (171, None),
        (180, Tick(8, 0)),
    ]
    assert [(now, schedule.due(now)) for now, _ in transcript] == transcript


@given(times, st.integers(-(10**9), 10**9), st.integers(1, 10**10))
def test_every_tick_is_told_or_missed(moments: list[int], start: int, period: int) -> None:
    schedule = Schedule(start, period)
    expected = 0
    for now in moments:
        tick = schedule.due(now)
        if tick is None:
            assert now < schedule.at(expected)
        else:
            assert schedule.at(tick.number) <= now < schedule.at(tick.number + 1)
            assert tick.number - tick.missed == expected
            expected = tick.number + 1


def test_no_drift_after_a_long_time() -> None:
    third = SECOND // 3
    schedule = Schedule(start=7, period=third)
    assert schedule.due(7 + 10**12 * third - 1) == Tick(10**12 - 1, 10**12 - 1)
    assert schedule.due(7 + 10**12 * third) == Tick(10**12, 0)


@pytest.mark.parametrize("timer", WAYS)
async def test_ticks_come_in_order_and_not_before_their_time(timer: bool) -> None:
    with Ticker(PERIOD, timer=timer) as ticker:
        told = []
        async for tick in ticker:
            assert time.monotonic_ns() >= ticker.schedule.at(tick.number)
            told.append(tick)
            if len(told) == 20:
                break
    assert told[0].number == 0 or told[0].missed == told[0].number
    for before, tick in itertools.pairwise(told):
        assert tick.number == before.number + tick.missed + 1
    assert ticker.missed == sum(tick.missed for tick in told)


@pytest.mark.parametrize("timer", WAYS)
async def test_a_late_task_misses_ticks_and_gets_no_bunch(timer: bool) -> None:
    with Ticker(PERIOD, timer=timer) as ticker:
        first = await ticker.next()
        while time.monotonic_ns() < ticker.schedule.at(first.number + 10):
            pass  # keeps the loop, as a bug would
        late = await ticker.next()
        after = await ticker.next()
    assert late.missed >= 9
    assert late.number == first.number + late.missed + 1
    assert after.number > late.number


@pytest.mark.parametrize("timer", WAYS)
async def test_a_task_that_is_always_late_leaves_the_loop_to_others(timer: bool) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)  # turns are what is counted

    task = asyncio.create_task(other())
    with Ticker(PERIOD, timer=timer) as ticker:
        for _ in range(5):
            number = (await ticker.next()).number
            while time.monotonic_ns() < ticker.schedule.at(number + 1):
                pass
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert turns >= 5


@pytest.mark.parametrize("timer", WAYS)
async def test_closing_ends_a_wait(timer: bool) -> None:
    ticker = Ticker(1000, timer=timer)
    assert await ticker.next() == Tick(0, 0)
    waits = asyncio.create_task(ticker.next())
    await asyncio.sleep(0)  # until it waits
    ticker.close()
    ticker.close()
    with pytest.raises(asyncio.CancelledError):
        await waits


@pytest.mark.parametrize("timer", WAYS)
async def test_a_wait_that_is_cancelled_loses_no_tick(timer: bool) -> None:
    with Ticker(0.05, timer=timer) as ticker:
        first = await ticker.next()
        waits = asyncio.create_task(ticker.next())
        await asyncio.sleep(0)
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        assert (await ticker.next()).number > first.number


@pytest.mark.parametrize("period", [0, -1, 1e-7, 1e12, float("nan"), float("inf")])
async def test_a_period_that_cannot_be_kept_is_refused(period: float) -> None:
    with pytest.raises(ValueError, match="a period of"):
        Ticker(period)
