"""``netkit serve`` as a process of its own: start it, hear what it logs, end it by a signal."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.forked import Forked, signalled

COMMAND = (sys.executable, "-m", "netkit")
LOOPS = ("asyncio", "uvloop")

_LISTENING = re.compile(r"listening on (\S+)")


class ServerProcess:
    """A server that runs; `lines` is its log so far."""

    def __init__(self, process: Process | Forked) -> None:
        self.process = process
        self.lines: list[str] = []
        self._news = asyncio.Condition()
        self._over = False
        self._reading = asyncio.create_task(self._read())

    @property
    def urls(self) -> list[str]:
        """Where it listens, in the order of its ``--bind`` flags."""
        return [match[1] for line in self.lines if (match := _LISTENING.search(line))]

    @property
    def ports(self) -> list[int]:
        """The port of each of `urls`."""
        return [int(url.rpartition(":")[2]) for url in self.urls]

    @property
    def log(self) -> str:
        """Everything that it has written to standard error."""
        return "\n".join(self.lines)

    @property
    def said(self) -> list[str]:
        """Its log but for what a busy machine did to the loop: no fault of the server's."""
        return [line for line in self.lines if "the loop has been held up" not in line]

    def complaints(self, *words: str) -> list[str]:
        """The first log line that holds one of `words` or a traceback, and what follows it."""
        for number, line in enumerate(said := self.said):
            if any(word in line for word in ("Traceback", *words)):
                return said[number : number + 40]
        return []

    async def logged(self, text: str, count: int = 1) -> list[str]:
        """Wait until `count` log lines hold `text`; return them."""

        def found() -> list[str]:
            return [line for line in self.lines if text in line]

        async with self._news:
            await self._news.wait_for(lambda: self._over or len(found()) >= count)
        assert len(found()) >= count, f"the server ended without saying {text!r}:\n{self.log}"
        return found()

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send it a signal."""
        signalled(self.process, number)

    async def ended(self) -> int:
        """Wait for its end; return its status, negative for the signal that it died by."""
        status = await self.process.wait()
        await self._reading
        return status

    async def stop(self) -> int:
        """End it with TERM and wait."""
        self.signal()
        return await self.ended()

    def descriptors(self) -> int:
        """How many file descriptors it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def resident(self) -> int:
        """Bytes of memory that it holds (VmRSS)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            async with self._news:
                self.lines.append(line.decode().rstrip("\n"))
                self._news.notify_all()
        async with self._news:
            self._over = True
            self._news.notify_all()


@asynccontextmanager
async def serving(
    *arguments: object, loop: str, before: Sequence[str] = ()
) -> AsyncIterator[ServerProcess]:
    """Run ``netkit serve …`` until the block's end, from when it listens on each ``--bind``.

    `before` is a command that runs it, such as ``prlimit --nofile=100``.
    """
    words = ["serve", *map(str, arguments), "--loop", loop]
    process: Process | Forked
    if before:
        process = await asyncio.create_subprocess_exec(
            *before, *COMMAND, *words, stdin=DEVNULL, stderr=PIPE, limit=1_048_576
        )
    else:
        process = await Forked.start(words)
    server = ServerProcess(process)
    try:
        await server.logged("listening on", max(1, arguments.count("--bind")))
        yield server
    finally:
        server.signal(signal.SIGKILL)
        await server.ended()
