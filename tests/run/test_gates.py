"""What the next job waits for."""

from __future__ import annotations

import asyncio

from netkit.clients.run.gates import MACHINE, Gate, Machine, Pace


class Moving:
    """A machine whose load and memory are told one after the other."""

    def __init__(self, *figures: int) -> None:
        self.figures = list(figures)

    def __call__(self) -> int:
        return self.figures.pop(0) if len(self.figures) > 1 else self.figures[0]


def gate(pace: Pace, said: list[str], running: Moving, available: Moving) -> Gate:
    return Gate(pace, asyncio.Event(), Machine(running, available), said.append, again=0.0)


async def test_an_idle_machine_lets_pass_at_once() -> None:
    said: list[str] = []
    it = gate(Pace(8), said, Moving(99), Moving(0))
    assert await it.passed()
    assert not said


async def test_waits_for_the_load_and_says_so_once() -> None:
    said: list[str] = []
    running = Moving(3, 2, 2, 1)
    it = gate(Pace(8, load=2.0), said, running, Moving(0))
    assert await it.passed()
    assert running.figures == [1]
    assert said == ["no job starts while 2 processes or more run (--load)"]


async def test_waits_for_memory() -> None:
    said: list[str] = []
    it = gate(Pace(8, memory=1000), said, Moving(99), Moving(10, 999, 1000))
    assert await it.passed()
    assert said == ["no job starts while less than 1,000 bytes are available (--memfree)"]


async def test_a_pause_from_start_to_start() -> None:
    loop = asyncio.get_running_loop()
    it = gate(Pace(8, delay=0.05), [], Moving(0), Moving(0))
    began = loop.time()
    assert await it.passed()
    assert await it.passed()
    assert await it.passed()
    # To the microsecond: 1.1 - 1.0 is less than 0.1 for a float.
    assert round(loop.time() - began, 6) >= 0.1


async def test_stopping_ends_the_wait() -> None:
    stop = asyncio.Event()
    said: list[str] = []
    it = Gate(Pace(1, delay=3600.0, load=1.0), stop, Machine(Moving(9), Moving(0)), said.append)
    waiting = asyncio.create_task(it.passed())
    while not said:
        await asyncio.sleep(0)  # turns, until it waits
    stop.set()
    assert not await waiting


def test_this_machine_can_be_asked() -> None:
    assert MACHINE.running() >= 0
    assert MACHINE.available() > 0
