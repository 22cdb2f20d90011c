"""What stands against newcomers: reasons, the token bucket, memory, descriptors."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.connections import pace
from netkit.gate import Gate
from netkit.ledger import Account
from netkit.limits import Limits
from netkit.pacing import Bucket, Pace
from netkit.pressure import MIB, Ceiling, Headroom


@dataclass
class Door:
    """What a gate opens and closes."""

    said: list[str] = field(default_factory=list)
    again: str = ""
    """Shut the gate for this reason while the others are let in."""

    def __post_init__(self) -> None:
        self.gate = Gate(
            lambda: self.said.append("pause"),
            self.others,
            lambda: self.said.append("resume"),
        )

    def others(self) -> None:
        self.said.append("others")
        if self.again:
            self.gate.shut(self.again)


def test_it_opens_when_the_last_reason_is_gone() -> None:
    door = Door()
    door.gate.shut("rate")
    door.gate.shut("memory")
    door.gate.shut("rate")
    door.gate.lift("rate")
    assert door.said == ["pause"]
    door.gate.lift("connections", "descriptors")
    assert door.said == ["pause"]
    door.gate.lift("memory")
    door.gate.lift("memory")
    assert door.said == ["pause", "others", "resume"]
    assert door.gate.pauses == {"rate": 1}


def test_those_who_wait_may_shut_it_again() -> None:
    door = Door(again="connections")
    door.gate.shut("connections")
    door.gate.lift("connections")
    assert door.said == ["pause", "others"]
    assert door.gate.reasons == {"connections"}
    assert door.gate.pauses == {"connections": 1}
    door.again = ""
    door.gate.lift("connections")
    assert door.said == ["pause", "others", "others", "resume"]


def test_a_second_is_the_burst() -> None:
    bucket = Bucket(lambda: 10.0, 100.0)
    waits = [bucket.take(100.0) for _ in range(10)]
    assert waits[:9] == [0.0] * 9
    assert waits[9] == pytest.approx(0.1)
    assert bucket.take(100.1) == pytest.approx(0.1)
    assert [bucket.take(200.0) for _ in range(9)] == [0.0] * 9  # no more were kept
    assert bucket.take(200.0) == pytest.approx(0.1)


def test_less_than_one_a_second() -> None:
    bucket = Bucket(lambda: 0.25, 0.0)
    assert bucket.take(0.0) == pytest.approx(4.0)
    assert bucket.take(4.0) == pytest.approx(4.0)
    assert bucket.take(100.0) == pytest.approx(4.0)


def test_the_rate_changes() -> None:
    rate = 10.0
    bucket = Bucket(lambda: rate, 0.0)
    for _ in range(10):
        bucket.take(0.0)
    rate = 5.0
    assert bucket.take(0.2) == pytest.approx(0.2)


@given(st.floats(0.1, 1000.0), st.lists(st.floats(0.0, 0.5), max_size=60))
def test_no_more_than_the_rate_and_one_burst(rate: float, pauses: list[float]) -> None:
    """One who comes as early as it may, at any time."""
    now = 0.0
    bucket = Bucket(lambda: rate, now)
    for taken, pause in enumerate(pauses, 1):
        wait = bucket.take(now)
        assert taken <= rate * now + max(1.0, rate) + 1e-6
        now += wait + pause


@dataclass
class Machine:
    """Memory as a test wants it."""

    held: int = 0
    open: int = 0
    freed: int = 0
    """What trimming gives back."""

    def read(self) -> tuple[int, int]:
        return self.held * MIB, self.open

    def trim(self) -> None:
        self.held -= self.freed
        self.freed = 0


def ceiling(limit: int) -> tuple[Door, Machine, Ceiling]:
    door, machine = Door(), Machine(open=10)
    return door, machine, Ceiling(limit * MIB, door.gate, machine.read, machine.trim)


def test_newcomers_wait_for_memory(caplog: pytest.LogCaptureFixture) -> None:
    door, machine, looking = ceiling(1000)
    with caplog.at_level(logging.WARNING, "netkit.server"):
        for machine.held in (900, 1000, 1001, 1200, 999, 951, 949, 949):
            looking.look()
    assert door.said == ["pause", "others", "resume"]
    assert door.gate.pauses == {"memory": 1}
    assert caplog.messages == [
        "newcomers wait: 1001 MiB of memory (--limit-memory 1000)",
        "newcomers are let in again: 949 MiB of memory",
    ]


def test_what_can_be_given_back_is_given_back_first() -> None:
    door, machine, looking = ceiling(1000)
    machine.held, machine.freed = 1100, 200
    looking.look()
    assert machine.held == 900
    assert not door.said


def test_what_the_ended_ones_leave_is_given_back_during_a_pause() -> None:
    door, machine, looking = ceiling(1000)
    machine.held = 1001
    looking.look()
    machine.held, machine.freed = 970, 0
    looking.look()
    assert door.said == ["pause"]
    machine.freed = 30
    looking.look()
    assert door.said == ["pause", "others", "resume"]


def test_a_limit_below_what_the_server_needs_is_no_dead_end() -> None:
    door, machine, looking = ceiling(10)
    machine.held = 50
    looking.look()
    assert door.said == ["pause"]
    machine.open = 0
    looking.look()
    looking.look()
    assert door.said == ["pause", "others", "resume"]


def test_few_descriptors_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    used = 0
    headroom = Headroom(lambda: (used, 1000))
    with caplog.at_level(logging.WARNING, "netkit.server"):
        for used in (100, 900, 901, 950, 850, 901, 799, 901, 0):  # noqa: B007  # read above
            headroom.look()
    line = "901 of 1000 file descriptors are in use; raise ulimit -Hn"
    assert caplog.messages == [line, line]


def test_nothing_is_said_where_they_are_not_known(caplog: pytest.LogCaptureFixture) -> None:
    for known in ((0, 0), (5000, 0)):
        Headroom(lambda known=known: known).look()  # type: ignore[misc]  # bound now
    assert not caplog.messages


@dataclass
class Crowd:
    """As much of an account as is asked for here."""

    workers: int


async def test_the_rate_is_shared_among_the_workers_there_are() -> None:
    crowd = Crowd(4)
    shared = pace(Limits(rate=10.0), cast(Account, crowd), Door().gate)
    assert shared is not None
    assert shared._bucket._rate() == 2.5
    crowd.workers = 5
    assert shared._bucket._rate() == 2.0


@pytest.mark.parametrize("rate", [0.0, float("inf")])
async def test_no_rate_is_no_limit(rate: float) -> None:
    assert pace(Limits(rate=rate), None, Door().gate) is None


async def test_a_pause_ends_by_itself() -> None:
    opened = asyncio.Event()
    gate = Gate(lambda: None, lambda: None, opened.set)
    pacing = Pace(lambda: 1000.0, gate)
    while not gate.reasons:
        pacing.let_in()
    assert gate.reasons == {"rate"}
    await opened.wait()
    assert not gate.reasons
    pacing.stop()
