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
from collections.abc import Awaitable, Callable
from typing import Any

from netkit.systemd.notify import Notifier
from netkit.terminal import Terminal
from netkit.workers.crew import Crew


async def supervise(
    crew: Crew, count: int, notifier: Notifier, announce: Callable[[], None]
) -> signal.Signals:
    """Keep `count` workers until TERM or INT; returns the signal to die by.

    `announce` is called when all are ready, and `notifier` told of everything.
    Raises `NotStartedError` if none can start. The crew's sockets stay the caller's.
    """
    loop = asyncio.get_running_loop()
    told: asyncio.Future[signal.Signals] = loop.create_future()
    terminal = Terminal()
    changes: set[asyncio.Task[None]] = set()

    def on_end(number: signal.Signals) -> None:
        if told.done():
            crew.hurry()
        else:
            told.set_result(number)

    async def once_started(what: Callable[[], Awaitable[None]]) -> None:
        await asyncio.wait([starting])
        await what()

    def change(what: Callable[[], Awaitable[None]]) -> None:
        task = loop.create_task(once_started(what))
        changes.add(task)
        task.add_done_callback(changes.discard)

    async def reload() -> None:
        with notifier.reloading():
            await crew.reload()

    def on_hangup() -> None:
        if terminal.is_gone():
            on_end(signal.SIGHUP)
        else:
            change(reload)

    def scale(by: int) -> None:
        wanted = max(1, len(crew.places) + by)
        if wanted != len(crew.places):
            change(lambda: crew.scale(wanted))

    starting = loop.create_task(crew.start(count))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_end, number)
    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    loop.add_signal_handler(signal.SIGTTIN, scale, 1)
    loop.add_signal_handler(signal.SIGTTOU, scale, -1)
    async with notifier.reporting(lambda: standing(crew)):
        try:
            awaited: list[asyncio.Future[Any]] = [starting, told]
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            if not told.done():
                await starting
                announce()
                notifier.ready()
            return await told
        finally:
            notifier.stopping()
            for task in (starting, *changes):
                task.cancel()
            await asyncio.gather(starting, *changes, return_exceptions=True)
            await crew.stop()


def standing(crew: Crew) -> str:
    """Workers that serve and their connections, as they last said."""
    serving = [place.child for place in crew.places if place.child is not None]
    connections = sum(child.figures.gauges.get("open", 0) for child in serving)
    return f"workers: {len(serving)}; open connections: {connections:.0f}"
