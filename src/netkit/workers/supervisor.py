"""The process that keeps the workers: its signals, its end, its exit status.

========== ==============================================================
TERM, INT  drain all workers; a second one ends the grace period at once
HUP        replace all workers, replacement first
TTIN, TTOU one worker more, one less
========== ==============================================================
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from typing import Any

from netkit.workers.crew import Crew, Health
from netkit.workers.sockets import Sockets


async def supervise(
    command: Sequence[str],
    sockets: Sockets,
    count: int,
    health: Health,
    grace: float,
    announce: Callable[[], None],
) -> signal.Signals:
    """Keep `count` workers until TERM or INT; returns the signal to die by.

    `command` is what a worker runs, with the sockets that it inherits. `announce`
    is called when all are ready. Raises `NotStartedError` if none can start. The
    sockets stay the caller's.
    """
    loop = asyncio.get_running_loop()
    crew = Crew(command, sockets, health, grace)
    told: asyncio.Future[signal.Signals] = loop.create_future()
    changes: set[asyncio.Task[None]] = set()

    def on_end(number: signal.Signals) -> None:
        if told.done():
            crew.hurry()
        else:
            told.set_result(number)

    def change(what: Callable[[], asyncio.Task[None]]) -> None:
        task = what()
        changes.add(task)
        task.add_done_callback(changes.discard)

    def scale(by: int) -> None:
        wanted = max(1, len(crew.places) + by)
        if wanted != len(crew.places):
            change(lambda: loop.create_task(crew.scale(wanted)))

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_end, number)
    loop.add_signal_handler(signal.SIGHUP, change, lambda: loop.create_task(crew.reload()))
    loop.add_signal_handler(signal.SIGTTIN, scale, 1)
    loop.add_signal_handler(signal.SIGTTOU, scale, -1)
    starting = loop.create_task(crew.start(count))
    try:
        awaited: list[asyncio.Future[Any]] = [starting, told]
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        if not told.done():
            await starting
            announce()
        return await told
    finally:
        for task in (starting, *changes):
            task.cancel()
        await asyncio.gather(starting, *changes, return_exceptions=True)
        await crew.stop()
