"""What a command line says before it can be parsed.

Which flags ``serve`` has depends on its target, and that on the line. So the line is
read twice: here for the few words that matter, then by Typer with all flags known.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from netkit.cli.settings import Setting

TRUE = ("1", "true", "t", "yes", "y", "on")
"""What means yes in a variable, to Typer as well."""

_IS_FLAG = re.compile(r"-[^\d.]")  # not a negative number


@dataclass
class Line:
    """The words of a command line, flags by name with each of their values."""

    target: str | None = None
    help: bool = False
    flags: dict[str, list[str]] = field(default_factory=dict)

    def path(self, flag: str, variable: str) -> Path | None:
        """A path from the line or the environment."""
        if flag in self.flags:
            return Path(self.flags[flag][-1])
        text = os.environ.get(variable)
        return Path(text) if text else None

    def yes(self, flag: str, variable: str) -> bool | None:
        """A switch on the line or in the environment; None if neither says."""
        for said in reversed(self.flags):
            if said in (flag, f"--no-{flag[2:]}"):
                return said == flag
        text = os.environ.get(variable)
        return text.strip().lower() in TRUE if text else None


def read(words: Sequence[str], known: Sequence[Setting], valued: Sequence[str]) -> Line:
    """Read the words after ``serve``.

    `known` are the settings of every target; `valued` further flags that take a value.
    An unknown flag's next word is its value if it does not look like a flag.
    """
    takes = {*valued, *(each.flag for each in known if not each.switch)}
    switches = {"-h", "--help", "--dump-config", *(each.flag for each in known if each.switch)}
    line, rest = Line(), deque(words)
    while rest:
        word = rest.popleft()
        if word == "--" and rest:
            word = rest.popleft()
        elif _IS_FLAG.match(word) and word != "--":
            flag, equals, value = word.partition("=")
            line.help = line.help or flag in ("-h", "--help")
            own = flag not in switches and not flag.startswith("--no-")
            if not equals and rest and (flag in takes or (own and not _IS_FLAG.match(rest[0]))):
                value = rest.popleft()
            said = line.flags.pop(flag, [])  # to the end: the last word counts
            line.flags[flag] = [*said, value]
            continue
        if line.target is None:
            line.target = word
    return line
