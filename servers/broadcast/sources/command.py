"""What a command prints, line by line."""

from __future__ import annotations

import shlex
from collections.abc import AsyncGenerator, Sequence

from netkit.errors import NetkitError, UsageError
from netkit.servers.broadcast.sources.framing import Lines
from netkit.subprocesses.command import Command, Stdio
from netkit.subprocesses.events import Ended, Output
from netkit.subprocesses.runner import Runner

GRACE = 2.0
"""Seconds from TERM to KILL."""


async def printed(command: str, longest: int) -> AsyncGenerator[Sequence[bytes], None]:
    """Each line that `command` prints, to its end; it is ended with the broadcast.

    It is split into words as a shell does, but run without one; in a process group of its
    own. Raises `UsageError` if it cannot be run, `NetkitError` if it fails.
    """
    split = Lines(longest)
    what = Command(_words(command), stderr=Stdio.INHERIT)
    async with Runner(1, grace=GRACE, lines=False) as runner:
        async for event in runner.map([what]):
            if isinstance(event, Output) and (payloads := split.feed(event.data)):
                yield payloads
            elif isinstance(event, Ended):
                if payloads := split.end():
                    yield payloads
                if event.end.reason == "not started":
                    raise UsageError(f"--exec {event.end.error}")
                if event.end.code:
                    raise NetkitError(f"--exec {command}: it ended with {event.end}")


def _words(command: str) -> tuple[str, ...]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--exec {command}: {error}") from None
    if not words:
        raise UsageError("--exec: no command is given")
    return tuple(words)
