"""Jobs and what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from netkit.subprocesses.children import Spawner
from netkit.subprocesses.command import Command
from netkit.subprocesses.events import End, Event, Output
from netkit.subprocesses.job import Bounds, Job


class Told:
    """A job, its events and its end."""

    def __init__(self, command: Command, *, lines: bool = False, **bounds: Any) -> None:
        self.events: list[Event] = []
        self.job = Job(1, command, self._hear, bounds=Bounds(**bounds), lines=lines)
        self.end: End | None = None
        self.hook: Callable[[Event], None] = lambda event: None

    def _hear(self, event: Event, job: Job) -> bool:
        self.events.append(event)
        self.hook(event)
        return True

    async def run(self, spawner: Spawner) -> End:
        self.end = await self.job.run(spawner)
        return self.end

    def output(self, stream: str = "stdout") -> bytes:
        return b"".join(
            each.data for each in self.events if type(each) is Output and each.stream == stream
        )


def sh(text: str) -> Command:
    """A shell's line."""
    return Command(("sh", "-c", text))


async def ran(spawner: Spawner, command: Command, **bounds: Any) -> Told:
    """Run it to its end."""
    told = Told(command, **bounds)
    await told.run(spawner)
    return told


def group(number: int) -> set[int]:
    """Living processes of a process group; zombies are dead."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has gone meanwhile
                continue
            if int(fields[2]) == number and fields[0] != "Z":
                found.add(int(folder.name))
    return found


async def gone(number: int) -> bool:
    """Wait until nobody of this group lives: of a KILL to a stranger nothing tells the end."""
    async with asyncio.timeout(20):
        while group(number):
            await asyncio.sleep(0.01)
    return True


def descriptors() -> set[str]:
    """Open ones of ours."""
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}
