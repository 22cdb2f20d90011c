"""``netkit run`` as a process, which reads, is signalled and ends."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests import forked
from tests.forked import Forked, signalled
from tests.runtime.process import COMMAND


@dataclass(frozen=True)
class Told:
    """What came of a run."""

    status: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[str]:
        """Its output, sorted: which job ends first is chance."""
        return sorted(os.fsdecode(self.out).splitlines())


def ran(*words: str | bytes, loop: str, stdin: bytes = b"") -> Told:
    """Run it to its end."""
    ended = forked.netkit(["run", "--loop", loop, *words], stdin)
    return Told(ended.returncode, ended.stdout, ended.stderr.decode(errors="replace"))


class Running:
    """One that runs."""

    def __init__(self, process: Process | Forked) -> None:
        self.process = process

    async def line(self) -> bytes:
        """The next line of its output."""
        assert self.process.stdout
        return await self.process.stdout.readline()

    async def remark(self) -> str:
        """The next line of its error output."""
        assert self.process.stderr
        return (await self.process.stderr.readline()).decode().rstrip("\n")

    def signal(self, number: signal.Signals) -> None:
        signalled(self.process, number)

    async def ended(self) -> Told:
        """Wait for its end; the rest of what it said."""
        out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return Told(self.process.returncode, out, err.decode())


@asynccontextmanager
async def running(*words: object, loop: str, stdin: bool = False) -> AsyncIterator[Running]:
    """Run it until the block's end."""
    line = ["run", "--loop", loop, *map(str, words)]
    process: Process | Forked
    if stdin:
        process = await asyncio.create_subprocess_exec(
            *COMMAND, *line, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
    else:
        process = await Forked.start(line, stdout=True)
    it = Running(process)
    try:
        yield it
    finally:
        if process.returncode is None:
            it.signal(signal.SIGKILL)
            await it.ended()
