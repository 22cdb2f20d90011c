"""What one may ask of commands that run together."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from netkit.addresses import Address


@dataclass(frozen=True, slots=True)
class Listening:
    """Ready when somebody listens there: tcp or unix."""

    address: Address


@dataclass(frozen=True, slots=True)
class Said:
    """Ready when a line of its output, or of its error output, has this in it."""

    pattern: re.Pattern[bytes]


class Done(enum.Enum):
    """Ready when it has ended with status 0: a step before the others, as a migration is."""

    DONE = enum.auto()


Ready: TypeAlias = Listening | Said | Done


@dataclass(frozen=True, slots=True)
class Entry:
    """One of the commands."""

    name: str
    words: tuple[str, ...]
    ready: Ready | None = None
    """What holds up the entries after it; None: nothing, they start at once."""


class Kill(enum.Enum):
    """When the end of one is the end of all."""

    NEVER = enum.auto()
    ON_FAILURE = enum.auto()
    ON_END = enum.auto()


@dataclass(frozen=True, slots=True)
class Restarting:
    """Starting again what has ended; seconds."""

    times: int | None = 0
    """After a failure, for each command; None: whenever one ends, without end."""
    first: float = 1.0
    """Before the first restart; twice as much before each one after that."""
    most: float = 30.0
    calm: float = 10.0
    """What ran for so long was no false start: the next delay is the first again."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All that was asked; `asked` makes one of flags."""

    entries: tuple[Entry, ...]
    """In the order in which they start; names are unique."""
    folder: Path | None = None
    """Where they run; None: here."""
    env: Mapping[str, str] | None = None
    """The whole of their environment; None: ours."""
    kill: Kill = Kill.NEVER
    restarting: Restarting = Restarting()
    ready_timeout: float = 60.0
    """Seconds from its start until an entry must be ready."""
    success: str = "all"
    """``first``, ``last``, ``all`` or a name: whose exit status is ours."""
    grace: float = 5.0
    """Seconds between being told to end and KILL."""
    colour: bool | None = None
    """None: on a terminal, unless NO_COLOR is set."""
    quiet: bool = False
    """Print no remarks of ours: starts, ends and restarts."""
