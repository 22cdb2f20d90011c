"""Procfiles, and files of variables, as foreman made them known."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from netkit.clients.run.together.settings import Entry
from netkit.clients.run.together.words import split
from netkit.errors import UsageError

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
NAMED = re.compile(rf"({NAME.pattern}):(?:\s+(.*))?", re.DOTALL)
"""``name: command``; the blank behind the colon keeps URLs and the like out."""
_VARIABLE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)

MOST_BYTES = 1024 * 1024
"""A file that is larger is not what was meant: a device, or a log."""


def entries(path: Path, *, shell: bool) -> tuple[Entry, ...]:
    """The commands of a Procfile, a ``name: command`` a line, in order.

    Raises `UsageError`, whose line begins with file and line number.
    """
    found: dict[str, Entry] = {}
    for where, line in _lines(path, "-f"):
        match = NAMED.fullmatch(line)
        if not match:
            raise UsageError(f"{where}: {_shown(line)}: write it like web: netkit serve echo")
        name = match[1]
        if name in found:
            raise UsageError(f"{where}: there is another {name}; give each a name of its own")
        found[name] = Entry(name, split(match[2] or "", shell=shell, where=where))
    if not found:
        raise UsageError(f"-f {path}: no command is in it; write one like web: netkit serve echo")
    return tuple(found.values())


def variables(path: Path) -> dict[str, str]:
    """What an env file sets: ``NAME=value`` a line, the value as it stands or in quotes.

    Nothing in it is expanded. Raises `UsageError`, whose line begins with file and line
    number, but does not show the value: it may be a password.
    """
    found = {}
    for where, line in _lines(path, "--env-file"):
        match = _VARIABLE.fullmatch(line)
        if not match or "\0" in line:
            raise UsageError(f"{where}: write it like NAME=value")
        found[match[1]] = value = match[2].strip()
        if value[:1] in ("'", '"'):
            try:
                (found[match[1]],) = shlex.split(value)
            except ValueError:  # no closing quote, or more behind it
                raise UsageError(f"{where}: {match[1]}: mend the quotes") from None
    return found


def _lines(path: Path, flag: str) -> Iterator[tuple[str, str]]:
    """Each line that is not blank or a comment, and where it stands."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        text = data.decode()
    except OSError as error:
        raise UsageError(f"{flag} {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{flag} {path}: it is not UTF-8") from None
    if len(data) > MOST_BYTES:
        raise UsageError(f"{flag} {path}: it is larger than 1 MiB; give another file")
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield f"{path}:{number}", stripped


def _shown(line: str) -> str:
    return repr(line) if len(line) <= 60 else f"{line[:57]!r}…"
