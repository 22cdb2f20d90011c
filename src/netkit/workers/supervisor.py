"""The process that keeps the workers: its signals, its end, its exit status.

=============== ==============================================================
TERM, INT, QUIT  drain all workers; a second one ends the grace period at once
HUP              replace all workers, replacement first
TTIN, TTOU       one worker more, one less
=============== ==============================================================
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from netkit.signals import heeded
from netkit.systemd.notify import Notifier
from netkit.workers.crew import Crew


async def supervise(
    crew: Crew, count: int, notifier: Notifier, announce: Callable[[], None]
) -> signal.Signals:
    """Keep `count` workers until TERM or INT; returns the signal to die by.

    `announce` is called when all are ready, and `notifier` told of everything.
    Raises `NotStartedError` if none can start. The crew's sockets stay the caller's.
    """
    loop = asyncio.get_running_loop()
    changes: set[asyncio.Task[None]] = set()

    def change(what: Coroutine[None, None, None]) -> None:
        task = loop.create_task(what)
        changes.add(task)
        task.add_done_callback(changes.discard)

    async def reload() -> None:
        with notifier.reloading():
            await crew.reload()

    def scale(by: int) -> None:
        wanted = max(1, crew.wanted + by)
        if wanted != crew.wanted:
            change(crew.scale(wanted))

    starting = loop.create_task(crew.start(count))
    loop.add_signal_handler(signal.SIGTTIN, scale, 1)
    loop.add_signal_handler(signal.SIGTTOU, scale, -1)
    with heeded(crew.hurry, lambda: change(reload())) as told:
        async with notifier.reporting(lambda: standing(crew)):
            try:
                awaited: list[asyncio.Future[Any]] = [starting, told]
                await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
                if not told.done():
                    await starting
                    announce()
                    notifier.ready()
                number = await told
                notifier.stopping()
                return number
            finally:
                for task in (starting, *changes):
                    task.cancel()
                await asyncio.gather(starting, *changes, return_exceptions=True)
                await crew.stop()


def standing(crew: Crew) -> str:
    """Workers that serve and their connections, as they last said."""
    serving = [place.child for place in crew.places if place.child is not None]
    connections = sum(child.figures.gauges.get("open", 0) for child in serving)
    return f"workers: {len(serving)}; open connections: {connections:.0f}"
