"""Who may start, and who waits."""

from __future__ import annotations

import pytest

from netkit.servers.runner.admission import Admission, Caps, Ticket
from netkit.servers.runner.callers import Caller
from netkit.servers.runner.refusals import RefusedError


class Desk:
    def __init__(self, *caps: int) -> None:
        self.admission = Admission(Caps(*caps))
        self.admitted: list[str] = []
        self.tickets: dict[str, Ticket] = {}

    def enter(self, caller: str, command: str = "c", concurrency: int | None = None) -> None:
        name = f"{caller}{len(self.tickets)}"
        who = Caller(frozenset({f"cn:{caller}"}))
        ticket = Ticket(who, command, concurrency, lambda: self.admitted.append(name))
        self.tickets[name] = ticket
        self.admission.enter(ticket)

    def leave(self, name: str) -> None:
        self.admission.leave(self.tickets[name])


def test_no_more_run_than_may() -> None:
    desk = Desk(2, 2, 5, 5)
    for _ in range(4):
        desk.enter("a")
    assert desk.admitted == ["a0", "a1"]
    assert desk.admission.ahead(desk.tickets["a3"]) == 1
    desk.leave("a1")
    assert desk.admitted == ["a0", "a1", "a2"]
    assert desk.admission.running == 2


def test_a_caller_at_its_cap_holds_up_nobody_else() -> None:
    desk = Desk(3, 1, 5, 5)
    for caller in "aaab":
        desk.enter(caller)
    assert desk.admitted == ["a0", "b3"]
    desk.leave("a0")
    assert desk.admitted == ["a0", "b3", "a1"]


def test_a_command_has_its_own_bound() -> None:
    desk = Desk(9, 9, 9, 9)
    desk.enter("a", "backup", 1)
    desk.enter("b", "backup", 1)
    desk.enter("b", "date")
    assert desk.admitted == ["a0", "b2"]
    desk.leave("a0")
    assert desk.admitted == ["a0", "b2", "b1"]


def test_the_queue_is_bounded_and_one_caller_cannot_fill_it() -> None:
    desk = Desk(1, 1, 3, 2)
    for _ in range(3):
        desk.enter("a")
    with pytest.raises(RefusedError, match="too many"):
        desk.enter("a")
    desk.enter("b")
    with pytest.raises(RefusedError, match="too many"):
        desk.enter("c")


def test_who_waits_may_go() -> None:
    desk = Desk(1, 1, 3, 2)
    for _ in range(3):
        desk.enter("a")
    desk.leave("a1")
    desk.leave("a1")
    desk.leave("a0")
    assert desk.admitted == ["a0", "a2"]
    desk.leave("a2")
    assert desk.admission.running == 0
