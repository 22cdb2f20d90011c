"""A command for each message: the payload on its standard input, the rest in its environment."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
from collections.abc import Mapping

from netkit.clients.listen.message import Message
from netkit.errors import UsageError
from netkit.feeds.recording import timestamp
from netkit.subprocesses.children import Spawner
from netkit.subprocesses.command import Command, NotStartedError, Stdio, Surroundings
from netkit.subprocesses.helpers import Helpers
from netkit.subprocesses.job import Bounds, Job

MOST_WAITING = 1000
"""Messages that wait for a free job; of 64 KB each they take 64 MB."""

GRACE = 2.0
"""Seconds from TERM to KILL."""


class Commands:
    """Runs a command for each message, so many at the same time; more wait, up to a bound.

    Of what it prints nothing is read: it has our standard output and error. Each runs in a
    process group of its own, so Ctrl-C does not reach it; `run` ends the groups at its own end.
    """

    def __init__(self, command: str, jobs: int = 1) -> None:
        self.dropped = 0
        """Messages that had no room to wait, or waited in vain."""
        self.failed = 0
        """Commands that ended with another status than 0."""
        self._words = split(command)
        self._jobs = jobs
        self._waiting: asyncio.Queue[Message | None] = asyncio.Queue()
        self._closing = False

    def put(self, message: Message) -> None:
        """Have the command run for this."""
        if self._closing or self._waiting.qsize() >= MOST_WAITING:
            self.dropped += 1
        else:
            self._waiting.put_nowait(message)

    async def run(self) -> None:
        """Run commands until `close`, and then for those that wait.

        Cancelling it ends what runs, first with TERM. Raises `UsageError` if one cannot run.
        """
        spawner = Helpers(1)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._jobs):
                    group.create_task(self._work(spawner))
        except* UsageError as errors:
            raise errors.exceptions[0] from None
        finally:
            await spawner.close()
            self._closing = True
            while not self._waiting.empty():
                self.dropped += self._waiting.get_nowait() is not None

    def close(self) -> None:
        """Take no more; `run` returns when those that wait are done."""
        if not self._closing:
            self._closing = True
            for _ in range(self._jobs):
                self._waiting.put_nowait(None)

    async def _work(self, spawner: Spawner) -> None:
        while message := await self._waiting.get():
            command = Command(
                self._words, message.payload, Stdio.INHERIT, Stdio.INHERIT,
                surroundings=Surroundings(env=os.environ | variables(message)),
            )  # fmt: skip
            job = Job(1, command, lambda event, job: True, bounds=Bounds(grace=GRACE), lines=False)
            try:
                self.failed += (await job.run(spawner)).status != 0
            except NotStartedError as error:
                raise UsageError(f"--exec {error}") from None


def split(command: str) -> tuple[str, ...]:
    """The words of a command as a shell has them. Raises `UsageError` if it cannot be run."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--exec {command}: {error}; mend the quotes") from None
    if not words or shutil.which(words[0]) is None:
        name = words[0] if words else "''"
        raise UsageError(f"--exec {name}: there is no such command; give its path")
    return tuple(words)


def variables(message: Message) -> Mapping[str, str]:
    """What a command reads in its environment; what a message has not, is not set."""
    known = {
        "NETKIT_FROM": message.source,
        "NETKIT_TIME": timestamp(message.time),
        "NETKIT_SENDER": None if message.sender is None else f"{message.sender:08x}",
        "NETKIT_EPOCH": message.epoch,
        "NETKIT_SEQUENCE": message.sequence,
        "NETKIT_LATENCY": None if message.latency is None else f"{message.latency:.6f}",
        "NETKIT_GAP": message.gap if message.sequence is not None else None,
        "NETKIT_REPAIRED": int(message.repaired) if message.sequence is not None else None,
    }
    return {name: str(value) for name, value in known.items() if value is not None}
