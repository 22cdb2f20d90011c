"""A server as a service: what its units are made from, and words as units write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from netkit.addresses import Address
from netkit.errors import UsageError

RELOADS_BY_NOTIFYING = 253
"""The systemd version from which Type=notify-reload is known (systemd.service(5))."""


@dataclass(frozen=True)
class Credential:
    """A file that systemd reads with its own rights and hands to the service."""

    name: str
    path: Path


@dataclass(frozen=True)
class Unit:
    """A server as a service: what to run, and what that needs."""

    name: str
    """Of the units' files, without ``.service``."""
    description: str
    command: Sequence[str | Credential]
    """Words, of which the first is an absolute path."""
    addresses: Sequence[Address]
    """Where it listens."""
    activated: bool = False
    """Whether systemd opens the sockets, from units of their own."""
    backlog: int = 2048
    """Newcomers that may wait for an activated service."""
    folder: Path | None = None
    """Working directory, absolute; None: the file system's root."""
    paths: Sequence[Path] = ()
    """Absolute paths that the server uses."""
    own_certificates: bool = False
    """Whether it makes development certificates, which need a folder."""
    connections: int = 10_000
    """How many each of its processes may hold."""
    grace: float = 10.0
    """Seconds that it drains at most."""
    asks_for_interfaces: bool = False
    """Whether it asks the kernel which interfaces there are (rtnetlink(7))."""
    version: int = RELOADS_BY_NOTIFYING
    """Of the systemd that will read it."""

    def reads(self) -> list[Path]:
        """What the server's user must be able to read."""
        folder = [] if self.folder is None else [self.folder]
        return [Path(str(self.command[0])), *self.paths, *folder]


def quoted(words: Sequence[str | Credential]) -> str:
    """A command line as systemd reads it back (systemd.service(5), command lines)."""
    return " ".join(
        f"%d/{word.name}" if isinstance(word, Credential) else _quoted(word) for word in words
    )


def _quoted(word: str) -> str:
    text = escaped(word).replace("$", "$$")
    if re.fullmatch(r"[\w./:=@%+,$\[\]-]+", text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def escaped(text: str) -> str:
    """Text without specifiers. Raises `UsageError` for what no unit can hold."""
    if any(not each.isprintable() and each != "\n" for each in text):
        raise UsageError(f"{text!r}: a unit holds printable text; give it in a file instead")
    return text.replace("%", "%%")
