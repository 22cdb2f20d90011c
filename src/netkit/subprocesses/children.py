"""A child process, by whichever way it was started."""

from __future__ import annotations

import asyncio
from typing import NamedTuple, Protocol

from netkit.subprocesses.command import Command
from netkit.subprocesses.events import Usage


class Fate(NamedTuple):
    """What the kernel told of a child's end."""

    status: int
    """As `os.waitstatus_to_exitcode` has it: less than 0 is a signal."""
    usage: Usage | None
    left: bool
    """Whether others of its group lived when it ended."""


class Child(Protocol):
    """The leader of a process group of its own."""

    pid: int
    fate: asyncio.Future[Fate]
    """Done when it has ended; with `ChildLostError` if nobody can tell."""

    def signal(self, number: int) -> None:
        """Send a signal to the whole group; nothing happens once the child was reaped."""

    def sweep(self) -> None:
        """When the child ends, kill what is left of its group."""


class ChildLostError(Exception):
    """Who had started a child is gone; so was the child, by then."""


class Spawner(Protocol):
    """A way to start children."""

    async def spawn(self, command: Command, stdio: tuple[int, int, int]) -> Child:
        """Start `command` with these descriptors for 0, 1 and 2, which stay the caller's.

        Raises `NotStartedError`; when cancelled it leaves nothing behind.
        """

    async def close(self) -> None:
        """Kill what still runs and wait for it. May be called twice."""
