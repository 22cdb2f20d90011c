"""A line as people write it becomes the words of a command."""

from __future__ import annotations

import re
import shlex

from netkit.errors import UsageError

SHELL = ("/bin/sh", "-c")

_PART = re.compile(
    r"""
      '[^']*'                 # quoted: a shell has nothing to do with it
    | "(?:\\.|[^"\\])*"
    | \\.
    | (?P<assignment>^\s*[A-Za-z_]\w*=)
    | (?P<operator>[&|;<>$`]+)
    """,
    re.VERBOSE | re.DOTALL,
)


def split(line: str, *, shell: bool, where: str) -> tuple[str, ...]:
    """The words of `line`, or those that have a shell run it.

    What only a shell understands is refused without one, since the program would get it as
    an argument: ``a && b`` runs a with two more words. Raises `UsageError`, whose line
    begins with `where`.
    """
    if not line.strip():
        raise UsageError(f"{where}: there is no command")
    if "\0" in line:
        raise UsageError(f"{where}: a NUL is in the command; no program can get that")
    if shell:
        return (*SHELL, line)
    try:
        words = shlex.split(line)
    except ValueError as error:
        mend = "close the quotes" if "quotation" in str(error) else "double the last backslash"
        raise UsageError(f"{where}: {str(error).lower()} in {line!r}; {mend}") from None
    for part in _PART.finditer(line):
        if only := part["assignment"] or part["operator"]:
            raise UsageError(f"{where}: {only!r} is for a shell: give --shell, or quote it")
    if not words or not words[0]:
        raise UsageError(f"{where}: there is no command")
    return tuple(words)
