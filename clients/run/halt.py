"""When no more jobs are started, or running ones are ended: ``--halt``, and what it all came to.

As GNU parallel has it: ``soon`` starts no more, ``now`` ends those that run too.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from netkit.errors import UsageError
from netkit.subprocesses.events import End

When: TypeAlias = Literal["soon", "now"]

MANY = 101
"""The exit status for more than a hundred failed jobs."""
OTHER = 255
"""The exit status for what is no job's failure, and of a job that was ended by us."""

SHORT = {"1": "soon,fail=1", "2": "now,fail=1", "-1": "soon,success=1", "-2": "now,success=1"}
_POLICY = re.compile(r"(now|soon),(fail|success|done)=(\d+)(%?)")


@dataclass(frozen=True, slots=True)
class Halt:
    """So many, or such a share, of jobs that failed, succeeded or were done."""

    when: When
    why: Literal["fail", "success", "done"]
    amount: int
    percent: bool = False


def policy(text: str) -> Halt | None:
    """``now,fail=1``, ``soon,success=10%``, ``never``; short forms too. Raises `UsageError`."""
    if text in ("never", "0"):
        return None
    full = SHORT.get(text, f"soon,fail={text}" if re.fullmatch(r"\d+%", text) else text)
    found = _POLICY.fullmatch(full)
    if not found or not int(found[3]):
        raise UsageError(f"--halt {text}: give never, or such as now,fail=1 or soon,done=10%")
    when, why, amount, percent = found.groups()
    return Halt(when, why, int(amount), bool(percent))  # type: ignore[arg-type]  # as matched


def status_of(end: End) -> int:
    """The exit status of a job as it stands in for ours."""
    return end.code if end.reason in ("exit", "not started") else OTHER


class Tally:
    """Counts jobs as they end. `total` is how many there are, for a percentage."""

    def __init__(self, halt: Halt | None = None, total: int = 0) -> None:
        self._halt, self._total = halt, total
        self._settled: int | None = None
        self.done = 0
        self.failed = 0

    def count(self, end: End) -> When | None:
        """Add one; says if this is when to halt."""
        self.done += 1
        failed = status_of(end) != 0
        self.failed += failed
        halt = self._halt
        if halt is None or halt.why == ("success" if failed else "fail"):
            return None
        counted = {"fail": self.failed, "success": self.done - self.failed, "done": self.done}
        needed = halt.amount * self._total / 100 if halt.percent else halt.amount
        if counted[halt.why] < needed:
            return None
        if self._settled is None:
            self._settled = self._at_halt(halt, end, needed)
        return halt.when

    @property
    def status(self) -> int:
        """The exit status of the whole."""
        if self._settled is not None:
            return self._settled
        if self._halt and self._halt.percent:
            return math.ceil(self.failed * 100 / (self.done or 1))
        return min(self.failed, MANY)

    def _at_halt(self, halt: Halt, end: End, needed: float) -> int:
        if halt.why == "success":
            return 0
        if needed == 1:
            return status_of(end)
        if halt.percent:
            return math.ceil(self.failed * 100 / self._total)
        return min(self.failed, MANY)
