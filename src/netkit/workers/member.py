"""A worker's side: serve on inherited sockets, say so, end when told.

Its supervisor alone decides when it ends. A terminal's Ctrl-C and hang-up reach
the whole process group, and systemd's TERM all processes of a service: here INT,
QUIT, HUP and a second TERM do nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable
from typing import Any

from netkit.errors import NetkitError
from netkit.observability.authored import Authored
from netkit.observability.figures import Figures, of_connections
from netkit.observability.listing import listing
from netkit.observability.tasks import tasks
from netkit.observability.vitals import vitals
from netkit.server import Server
from netkit.signals import leave_spare
from netkit.workers import snapshot
from netkit.workers.channel import Channel
from netkit.workers.inheritance import BLOCKED, IGNORED, Inheritance

BEAT = 1.0
"""Seconds between two signs of life."""

FAREWELL = 2.0
"""Seconds at most to say the last; a supervisor that is held up does not keep us."""


async def serve_as_member(
    inheritance: Inheritance, prepare: Callable[[], Server]
) -> signal.Signals:
    """Serve until told to end; the signal by which the process should die then.

    `prepare` makes the server on the inherited sockets. If it or the server's start
    fails, the supervisor is told why; raises SystemExit then.
    """
    loop = asyncio.get_running_loop()
    channel = await Channel.over(socket.socket(fileno=inheritance.channel))
    told = Told()
    for number in IGNORED:
        loop.add_signal_handler(number, nothing)
    loop.add_signal_handler(signal.SIGTERM, told.end)
    leave_spare(loop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED)
    try:
        server = prepare()
        await server.start()
    except NetkitError as error:
        channel.say("failed", why=str(error), status=error.exit_code)
        await channel.flushed()
        channel.close()
        raise SystemExit(error.exit_code) from None  # the supervisor tells people, once
    if inheritance.snapshot is not None:
        snapshot.heed(inheritance.snapshot)
    channel.say("ready")
    authored = Authored(server.service)
    obeying = loop.create_task(obey(channel, server, authored, told))
    beating = loop.create_task(beat(channel, server))
    try:
        await told.anything.wait()
        retiring = loop.create_task(server.stop(patient=True))
        ending = loop.create_task(told.to_end.wait())
        await asyncio.wait([retiring, ending], return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        await server.stop()
        await retiring
        await say_last(channel, server, authored)
    finally:
        for task in (obeying, beating):
            task.cancel()
        await asyncio.gather(obeying, beating, return_exceptions=True)
        channel.close()
        # asyncio's loop closes its wakeup socket while signals still write to it: one that
        # comes just then is a traceback on stderr. Our other threads block all of them.
        signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED | {signal.SIGTERM})
    return signal.SIGTERM


class Told:
    """What the supervisor has asked for."""

    def __init__(self) -> None:
        self.anything = asyncio.Event()
        self.to_end = asyncio.Event()

    def retire(self) -> None:
        """Accept no more; another worker does."""
        self.anything.set()

    def end(self) -> None:
        """Drain."""
        self.anything.set()
        self.to_end.set()


def nothing() -> None:
    """Not our signal."""


async def obey(channel: Channel, server: Server, authored: Authored, told: Told) -> None:
    """Do what the supervisor says; without one, end."""
    while (message := await channel.hear()) is not None:
        match message:
            case {"is": "retire"}:
                told.retire()
            case {"is": "hurry"}:
                server.hurry()
            case {"is": "ask", "number": number, "what": "authored"}:
                channel.say("answer", to=number, value=authored.families().told())
            case {"is": "ask", "number": number, "what": what, **more}:
                channel.say("answer", to=number, value=answer(server, what, **more))
    told.end()


def answer(server: Server, what: str, **more: Any) -> Any:
    """What the supervisor wants to know, as JSON takes it; None if it is not known here."""
    match what:
        case "figures":
            return figures(server, open_too=True).told()
        case "connections":
            return listing(server.connections)
        case "tasks":
            return tasks()
        case "kick":
            return server.cut(more["id"])
    return None


async def say_last(channel: Channel, server: Server, authored: Authored) -> None:
    """Say what was counted to the end, so that none of it is lost."""
    counted = figures(server, open_too=False).told()
    channel.say("last", figures=counted, authored=authored.families(at_end=True).told())
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FAREWELL):
            await channel.flushed()


async def beat(channel: Channel, server: Server) -> None:
    """Say once a second that the loop turns, and what it has to do."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        now = figures(server, open_too=False)
        now.gauges["lag"] = max(0.0, loop.time() - due)
        channel.say("beat", figures=now.told())
        if server.account is not None:
            server.account.report(int(now.gauges["resident"]), int(now.gauges["open"]))
        due = loop.time() + BEAT
        await asyncio.sleep(BEAT)  # the pace of the beat


def figures(server: Server, *, open_too: bool) -> Figures:
    """All that this worker has counted, and what its process holds."""
    if server.tally is None:
        now = of_connections(server.connections)
    else:
        now = server.tally.figures(server.connections, open_too=open_too)
    now.gauges.update(vitals())
    return now
