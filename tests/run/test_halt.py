"""``--halt``, and the exit status of the whole. Figures are those that GNU parallel gives."""

from __future__ import annotations

import pytest

from netkit.clients.run.halt import Halt, Tally, policy
from netkit.errors import UsageError
from netkit.subprocesses.events import End


def exits(status: int) -> End:
    return End(status, None, 0.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("never", None),
        ("0", None),
        ("1", Halt("soon", "fail", 1)),
        ("2", Halt("now", "fail", 1)),
        ("-1", Halt("soon", "success", 1)),
        ("-2", Halt("now", "success", 1)),
        ("5%", Halt("soon", "fail", 5, percent=True)),
        ("now,fail=1", Halt("now", "fail", 1)),
        ("soon,done=20%", Halt("soon", "done", 20, percent=True)),
    ],
)
def test_policies(text: str, expected: Halt | None) -> None:
    assert policy(text) == expected


@pytest.mark.parametrize("text", ["", "3", "now", "now,fail", "now,fail=0", "later,fail=1", "%"])
def test_what_is_none_is_one_line(text: str) -> None:
    with pytest.raises(UsageError, match=f"^--halt {text}: give never, or such as now,fail=1"):
        policy(text)


@pytest.mark.parametrize(
    ("halt", "codes", "told", "status"),
    [
        ("never", [0, 1, 3], [None, None, None], 2),
        ("now,fail=1", [0, 7, 3], [None, "now", "now"], 7),
        ("soon,fail=2", [0, 7, 3], [None, None, "soon"], 2),
        ("soon,fail=50%", [0, 7, 3, 5], [None, None, "soon", "soon"], 50),
        ("soon,fail=50%", [0, 0, 3, 0], [None, None, None, None], 25),
        ("now,success=1", [4, 0], [None, "now"], 0),
        ("now,success=1", [4, 3], [None, None], 2),
        ("now,done=1", [4], ["now"], 4),
        ("soon,done=2", [4, 3], [None, "soon"], 2),
        ("soon,success=50%", [4, 3, 0, 0], [None, None, None, "soon"], 0),
        ("never", [1] * 100, [None] * 100, 100),
        ("never", [1] * 150, [None] * 150, 101),
        ("soon,fail=200", [1] * 150, [None] * 150, 101),
    ],
)
def test_when_and_what_it_comes_to(
    halt: str, codes: list[int], told: list[str | None], status: int
) -> None:
    tally = Tally(policy(halt), len(codes))
    assert [tally.count(exits(code)) for code in codes] == told
    assert tally.status == status


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (End(None, 9, 0.0), 137),
        (End(None, 15, 0.0, reason="timeout"), 255),
        (End(0, None, 0.0, reason="timeout"), 255),
        (End(None, None, 0.0, reason="not started"), 127),
        (End(None, None, 0.0, reason="lost"), 255),
    ],
)
def test_the_status_of_the_job_that_ended_it(end: End, status: int) -> None:
    tally = Tally(policy("now,fail=1"))
    assert tally.count(end) == "now"
    assert tally.status == status
