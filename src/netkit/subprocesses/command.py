"""What is to run, and in which surroundings."""

from __future__ import annotations

import enum
import errno
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from netkit.errors import NetkitError


class Stdio(enum.Enum):
    """What a job's standard input, output or error is, where it is no descriptor."""

    PIPE = enum.auto()
    """Streamed: output becomes events, input is what is written to the job."""
    NULL = enum.auto()
    INHERIT = enum.auto()
    """The one of this process."""
    STDOUT = enum.auto()
    """For standard error alone: wherever standard output goes, in one stream."""


class WindowSize(NamedTuple):
    """A terminal's size in characters."""

    rows: int = 24
    columns: int = 80


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a job gets instead of this process's own; None, or empty: ours."""

    cwd: Path | None = None
    env: Mapping[str, str] | None = None
    """The whole of its environment, nothing of ours beside it."""
    umask: int | None = None
    nice: int | None = None
    """Added to our niceness, as nice(2) does."""
    cpus: frozenset[int] = frozenset()
    limits: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    """``resource.RLIMIT_…`` to soft and hard limit, in the unit of setrlimit(2)."""
    user: str | None = None
    """A name or a number: with its groups. Takes the right to change it."""
    cgroup: Path | None = None
    """A folder of the cgroup v2 tree that we may write to."""

    @property
    def ordinary(self) -> bool:
        """Whether posix_spawn(3) alone can give them."""
        return not (self.nice or self.cpus or self.limits or self.user or self.cgroup)


OURS = Surroundings()


@dataclass(frozen=True, slots=True)
class Command:
    """A program and its words; no shell has a look at them."""

    words: tuple[str, ...]
    stdin: Stdio | int | bytes = Stdio.NULL
    """Or the bytes to be read; or a descriptor of the caller's, which the job shares and the
    caller closes, as for the others."""
    stdout: Stdio | int = Stdio.PIPE
    stderr: Stdio | int = Stdio.PIPE
    terminal: WindowSize | None = None
    """A terminal of its own in the place of all three."""
    surroundings: Surroundings = OURS

    @classmethod
    def of(cls, what: Command | Sequence[str]) -> Command:
        """A command, or its words."""
        return what if isinstance(what, Command) else cls(tuple(what))


class NotStartedError(NetkitError):
    """A job could not be started: the message says which program and why.

    `errno` is the kernel's reason, if it was the kernel that refused.
    """

    exit_code = 127

    def __init__(self, message: str, errno: int | None = None) -> None:
        super().__init__(message)
        self.errno = errno


HINTS = {
    errno.EAGAIN: "no more processes are allowed (ulimit -u)",
    errno.EMFILE: "no descriptor is left (ulimit -n)",
    errno.ENFILE: "no descriptor is left in the whole system",
}
"""What the kernel's own words leave to be guessed."""


def refused(command: Command, error: OSError) -> NotStartedError:
    """The error for what the kernel said when this was to be started."""
    why = HINTS.get(error.errno or 0, error.strerror)
    return NotStartedError(f"{command.words[0]}: {why}", error.errno)


def program(command: Command) -> str:
    """The path of what is to run. Raises `NotStartedError` if there is no such program."""
    if not command.words or not command.words[0]:
        raise NotStartedError("no command is given")
    if any("\0" in word for word in command.words):
        raise NotStartedError(f"{command.words[0]}: a word holds a NUL, which no program can get")
    name, around = command.words[0], command.surroundings
    path = (os.environ if around.env is None else around.env).get("PATH", os.defpath)
    if "/" in name:
        return name  # the kernel looks, from the job's own folder
    if found := _found(name, path):
        return found
    raise NotStartedError(f"{name}: command not found; give its path")


@lru_cache(maxsize=256)
def _found(name: str, path: str) -> str | None:
    return shutil.which(name, path=path)
