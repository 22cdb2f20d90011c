"""What happens to a job: events, in the order in which they came."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from netkit.subprocesses.command import Command


@dataclass(frozen=True, slots=True)
class Started:
    """It runs. Times are seconds of Unix time, here and below."""

    job: int
    """Counted from 1 in the order in which jobs were given."""
    time: float
    command: Command
    pid: int
    """Of its first process, and the number of its process group."""


class Output(NamedTuple):
    """It wrote something: a block of whole lines, or what was read if chunks were asked for."""

    job: int
    time: float
    stream: Literal["stdout", "stderr"]
    data: bytes


class Usage(NamedTuple):
    """What the kernel says of a child that ended, and of its own children that it waited for."""

    user: float
    """Seconds of CPU in the program."""
    system: float
    """Seconds of CPU in the kernel."""
    max_rss: int
    """Bytes that it had in memory at most."""


Reason: TypeAlias = Literal["exit", "timeout", "cancelled", "not started", "lost"]


@dataclass(frozen=True, slots=True)
class End:
    """How it ended."""

    status: int | None
    """Exit status; None if a signal ended it, or if it never ran."""
    signal: int | None
    seconds: float
    """Wall time."""
    usage: Usage | None = None
    reason: Reason = "exit"
    error: str = ""
    """One line on why it was not started or was lost."""

    @property
    def code(self) -> int:
        """As a shell has it: 128 and the signal's number, 127 for what never ran."""
        if self.status is not None:
            return self.status
        return 127 if self.signal is None else 128 + self.signal

    def __str__(self) -> str:
        if self.error:
            return self.error
        how = f"exit status {self.status}" if self.signal is None else _name(self.signal)
        return how if self.reason == "exit" else f"{how} ({self.reason})"


@dataclass(frozen=True, slots=True)
class Retrying:
    """It failed and will be started once more."""

    job: int
    time: float
    attempt: int
    """The one that comes, counted from 1."""
    delay: float
    """Seconds until then."""
    end: End


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing more comes of it."""

    job: int
    time: float
    command: Command
    end: End


Event: TypeAlias = Started | Output | Retrying | Ended


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
