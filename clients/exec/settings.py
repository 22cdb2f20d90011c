"""What was asked of ``netkit exec``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PORT = 8622
"""Where a runner listens unless it is told otherwise."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A command to run, or with `attach` a detached job to watch."""

    name: str = ""
    arguments: tuple[str, ...] = ()
    named: Mapping[str, str] = field(default_factory=dict)
    terminal: bool = False
    detach: bool = False
    no_input: bool = False
    attach: str = ""


@dataclass(frozen=True, slots=True)
class Standard:
    """Standard input, output and error as descriptors; None: closed. They stay open."""

    stdin: int | None
    stdout: int | None
    stderr: int | None
