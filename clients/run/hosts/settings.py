"""What one asks of other machines, and what a job there has besides its words."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from netkit.clients.run.hosts.address import Address
from netkit.clients.run.hosts.places import Place
from netkit.errors import UsageError
from netkit.subprocesses.command import Command


@dataclass(frozen=True, slots=True)
class Login:
    """How to get in, beside ~/.ssh/config, the agent and the usual keys."""

    config: Path | None = None
    """Instead of ~/.ssh/config."""
    identities: tuple[Path, ...] = ()
    """Private keys, instead of the usual ones."""

    def check(self) -> None:
        """Raise `UsageError` for a file that cannot be read."""
        named = [("--ssh-config", self.config)] if self.config else []
        for flag, path in [*named, *(("--identity", each) for each in self.identities)]:
            readable(path, flag)


@dataclass(frozen=True, slots=True)
class Machines:
    """The hosts, and what is done on each."""

    addresses: tuple[Address, ...]
    jobs: int = 1
    """At a time on a host that names no limit of its own."""
    login: Login = Login()
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to what the host gives a job."""
    folder: str = ""
    """Where jobs run and their files are; empty: where a login begins. It is made."""
    grace: float = 5.0
    """Seconds from TERM to KILL for jobs there whose connection is lost."""
    transfer: tuple[str, ...] = ()
    """Files of each job that are sent before it; with replacement strings."""
    bring: tuple[str, ...] = ()
    """Files of each job that are brought back when it has exited; likewise."""
    base: tuple[Place, ...] = ()
    """Files that each host gets once."""
    cleanup: bool = False
    """Remove there what was sent and brought back."""

    @property
    def limit(self) -> int:
        """Jobs at a time on all of them."""
        return sum(each.limit or self.jobs for each in self.addresses)

    def check(self) -> None:
        """Raise `UsageError` for a file that cannot be read."""
        self.login.check()
        for place in self.base:
            readable(Path(place.here), "--basefile")


@dataclass(slots=True)
class Whereabouts:
    """Where a job runs; empty until it does."""

    host: str = ""


@dataclass(frozen=True, slots=True)
class RemoteCommand(Command):
    """A command and its files."""

    transfer: tuple[Place, ...] = ()
    bring: tuple[Place, ...] = ()
    whereabouts: Whereabouts = field(default_factory=Whereabouts, compare=False)


def readable(path: Path, flag: str) -> None:
    """Raise `UsageError` if it is no file that can be read."""
    if not path.is_file():
        raise UsageError(f"{flag} {path}: there is no such file")
    if not os.access(path, os.R_OK):
        raise UsageError(f"{flag} {path}: it cannot be read")
