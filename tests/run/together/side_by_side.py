"""Commands run together in this process, and a witness of what they leave behind."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netkit.clients.run.together import Settings, asked, run

LONG = "sleep 1000"


@dataclass(frozen=True)
class Outcome:
    """What has become of it."""

    status: int
    out: list[str]
    err: list[str]

    def place(self, remark: str) -> int:
        """Where a line stands among those on standard error."""
        return self.err.index(remark)


class Console:
    """Files in the place of standard output and error."""

    def __init__(self, folder: Path) -> None:
        self._out, self._err = folder / "stdout", folder / "stderr"

    async def run(self, settings: Settings) -> Outcome:
        with self._out.open("wb") as out, self._err.open("wb") as err:
            status = await run(settings, out.fileno(), err.fileno())
        return Outcome(status, self.lines, self.remarks)

    async def together(self, *commands: str, **flags: Any) -> Outcome:
        return await self.run(asked(commands, **flags))

    @property
    def lines(self) -> list[str]:
        return self._out.read_text().splitlines()

    @property
    def remarks(self) -> list[str]:
        """On standard error, without process numbers."""
        return [line.partition(" (pid")[0] for line in self._err.read_text().splitlines()]


def sh(script: str) -> str:
    """A command that has a shell run a script."""
    return f"sh -c {shlex.quote(script)}"


class Witness:
    """A named pipe that commands hold open: its end is that of the last of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(self._reading, True)

    def held(self, script: str) -> str:
        """A command that holds it, with all that it starts."""
        return sh(f"exec 9>{self.path}; {script}")

    async def all_gone(self) -> None:
        """Wait until nobody holds it any more."""
        reading = asyncio.get_running_loop().run_in_executor(None, os.read, self._reading, 1)
        assert await asyncio.wait_for(reading, 20) == b""

    def close(self) -> None:
        os.close(self._reading)


@contextmanager
def witness(path: Path) -> Iterator[Witness]:
    it = Witness(path)
    try:
        yield it
    finally:
        it.close()
