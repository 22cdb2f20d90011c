"""Hosts as people name them: ``N/user@host:port``, one or a file of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from netkit.errors import UsageError

_ADDRESS = re.compile(
    r"(?:(?P<limit>\d+)/)?"
    r"(?:(?P<user>[^\s@/,:\[\]-][^\s@/,:\[\]]*)@)?"
    r"(?:\[(?P<literal>[0-9a-fA-F:.]+(?:%\w+)?)\]|(?P<name>[^\s@/,:\[\]-][^\s@/,:\[\]]*))"
    r"(?::(?P<port>\d+))?"
)
PORTS = range(1, 65536)


@dataclass(frozen=True, slots=True)
class Address:
    """One host. What is None is ssh_config's, or the default."""

    name: str
    user: str | None = None
    port: int | None = None
    limit: int | None = None
    """Jobs at a time there."""

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        name = f"[{self.name}]" if ":" in self.name else self.name
        return f"{user}{name}" + (f":{self.port}" if self.port else "")


def address(text: str, where: str) -> Address:
    """One of them; `where` it stands. Raises `UsageError`."""
    found = _ADDRESS.fullmatch(text)
    if not found:
        raise UsageError(f"{where} {text}: give a host as [N/][user@]host[:port]")
    port, limit = found["port"], found["limit"]
    if port and int(port) not in PORTS:
        raise UsageError(f"{where} {text}: a port is a number from 1 to 65535")
    if limit and not int(limit):
        raise UsageError(f"{where} {text}: no job would run there; give 1 or more, or leave it out")
    return Address(
        found["literal"] or found["name"],
        found["user"],
        int(port) if port else None,
        int(limit) if limit else None,
    )


def addresses(words: Iterable[str], files: Iterable[Path]) -> tuple[Address, ...]:
    """All that these name: words with commas between hosts, files with a host a line.

    In a file empty lines and those with ``#`` before them count for nothing. Raises `UsageError`.
    """
    found = [address(text, "--host") for word in words for text in word.split(",")]
    for path in files:
        found += _read(path)
    seen: set[str] = set()
    for each in found:
        if str(each) in seen:
            raise UsageError(f"--host {each}: it is named twice; write 8/{each} for 8 jobs there")
        seen.add(str(each))
    return tuple(found)


def _read(path: Path) -> list[Address]:
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise UsageError(f"--hosts {path}: cannot be read: {why}") from None
    named = ((number, line.strip()) for number, line in enumerate(lines, 1))
    found = [
        address(line, f"--hosts {path}: line {number}:")
        for number, line in named
        if line and not line.startswith("#")
    ]
    if not found:
        raise UsageError(f"--hosts {path}: names no host")
    return found
