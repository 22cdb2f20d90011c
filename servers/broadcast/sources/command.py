"""What a command prints, line by line."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress

from netkit.errors import NetkitError, UsageError
from netkit.servers.broadcast.sources.framing import Lines

CHUNK = 64 * 1024

GRACE = 2.0
"""Seconds from TERM to KILL."""


async def printed(command: str, longest: int) -> AsyncGenerator[Sequence[bytes], None]:
    """Each line that `command` prints, to its end; it is ended with the broadcast.

    It is split into words as a shell does, but run without one; in a process group of its
    own. Raises `UsageError` if it cannot be run, `NetkitError` if it fails.
    """
    process = await _started(command)
    assert process.stdout is not None
    split = Lines(longest)
    try:
        while data := await process.stdout.read(CHUNK):
            if payloads := split.feed(data):
                yield payloads
        if payloads := split.end():
            yield payloads
        if status := await process.wait():
            how = f"exit status {status}" if status > 0 else signal.Signals(-status).name
            raise NetkitError(f"--exec {command}: it ended with {how}")
    finally:
        await _ended(process)


async def _started(command: str) -> Process:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--exec {command}: {error}") from None
    if not words:
        raise UsageError("--exec: no command is given")
    try:
        return await asyncio.create_subprocess_exec(
            *words, stdin=DEVNULL, stdout=PIPE, start_new_session=True
        )
    except OSError as error:
        raise UsageError(f"--exec {words[0]}: {error.strerror}") from None


async def _ended(process: Process) -> None:
    """End what is left of it: the group, with what it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    if process.returncode is None:
        try:
            async with asyncio.timeout(GRACE):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
