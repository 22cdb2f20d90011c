"""Parameters of a command: which values of a caller's may become part of its words."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from netkit.servers.runner.refusals import RefusedError

LONGEST = 4096
"""Bytes of a value, unless the list says otherwise: PATH_MAX."""

_INT = re.compile(r"-?[0-9]{1,18}")  # int() would take 1_0, +1 and other scripts' digits


class Kind(Protocol):
    """What values may be."""

    def accept(self, text: str) -> str | None:
        """The value as the program gets it; None if it may not be that."""

    def __str__(self) -> str:
        """What is asked for, in words for the caller."""


@dataclass(frozen=True)
class Int:
    """A whole number within bounds; the program gets it without needless zeros."""

    least: int
    most: int

    def accept(self, text: str) -> str | None:
        """See `Kind`."""
        if not _INT.fullmatch(text) or not self.least <= int(text) <= self.most:
            return None
        return str(int(text))

    def __str__(self) -> str:
        return f"a whole number from {self.least} to {self.most}"


@dataclass(frozen=True)
class Pattern:
    """A text that a regular expression matches from its beginning to its end."""

    expression: re.Pattern[str]

    def accept(self, text: str) -> str | None:
        """See `Kind`."""
        return text if self.expression.fullmatch(text) else None

    def __str__(self) -> str:
        return f"a text like {self.expression.pattern}"


@dataclass(frozen=True)
class Choice:
    """One of a few texts."""

    choices: tuple[str, ...]

    def accept(self, text: str) -> str | None:
        """See `Kind`."""
        return text if text in self.choices else None

    def __str__(self) -> str:
        return f"one of {', '.join(self.choices)}"


@dataclass(frozen=True)
class Within:
    """A file or folder that is there, and inside a root when all symbolic links are followed.

    The program gets the path with the links followed, so a link that is changed afterwards
    leads it nowhere else. Who may rename folders *inside* the root could still swap one for
    a link between this look and the program's: a path is a name, not a file. So a root is
    for what its callers cannot write to.
    """

    root: Path

    def accept(self, text: str) -> str | None:
        """See `Kind`. Looks at the file system."""
        try:
            root = os.path.realpath(self.root, strict=True)
            found = os.path.realpath(self.root / text, strict=True)
        except (OSError, ValueError):
            return None
        return found if os.path.commonpath((root, found)) == root else None

    def __str__(self) -> str:
        return "a path that is there, inside its root"


@dataclass(frozen=True)
class Parameter:
    """One parameter: a name, what may be given for it, and what it is if nothing is."""

    name: str
    kind: Kind
    default: str | None = None
    dash: bool = False
    """Whether a value may begin with ``-``, as options do."""
    longest: int = LONGEST
    """Bytes."""

    def value(self, given: str | None) -> str:
        """What the program gets for what a caller gave. Raises `RefusedError`."""
        if given is None and self.default is None:
            raise RefusedError("argument", f"{self.name} is missing: give {self.kind}")
        if given is not None and (why := self._wrong(given)):
            raise RefusedError("argument", f"{self.name}: {why}")
        value = self.kind.accept(self.default or "" if given is None else given)
        if value is None:
            raise RefusedError("argument", f"{self.name}: give {self.kind}")
        return value

    def _wrong(self, given: str) -> str:
        """What is wrong with it whatever its kind."""
        if "\0" in given:
            return "holds a NUL character, which no program can get"
        try:
            size = len(given.encode())
        except UnicodeEncodeError:
            return "is no Unicode text"
        if size > self.longest:
            return f"{size} bytes, {self.longest} are allowed"
        if given.startswith("-") and not self.dash:
            return "begins with '-', which it may not"
        return ""
