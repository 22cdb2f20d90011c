"""Jobs on hosts through the engine, in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from netkit.clients.run.hosts import hosts
from netkit.clients.run.hosts.settings import Machines
from netkit.clients.run.hosts.spawner import Hosts
from netkit.subprocesses.command import Command
from netkit.subprocesses.events import End, Ended, Output
from netkit.subprocesses.runner import Runner
from tests.run.hosts.sshd import Sshd


@asynccontextmanager
async def using(
    *sshds: Sshd, said: list[str] | None = None, **settings: Any
) -> AsyncIterator[Hosts]:
    """A spawner for these, closed at the block's end."""
    machines = Machines(tuple(each.address for each in sshds), **settings)
    spawner = hosts(machines, (said if said is not None else []).append)
    try:
        yield spawner
    finally:
        await spawner.close()


async def ran(
    spawner: Hosts, commands: Sequence[Command | Sequence[str]], limit: int = 8, **options: Any
) -> tuple[dict[int, End], dict[tuple[int, str], bytes]]:
    """Run these; how each ended, and what each wrote."""
    ends: dict[int, End] = {}
    written: dict[tuple[int, str], bytearray] = {}
    async with Runner(limit, spawner=spawner, lines=False, **options) as runner:
        async for event in runner.map(commands):
            if isinstance(event, Ended):
                ends[event.job] = event.end
            elif isinstance(event, Output):
                written.setdefault((event.job, event.stream), bytearray()).extend(event.data)
    return ends, {place: bytes(data) for place, data in written.items()}
