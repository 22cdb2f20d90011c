"""Serving with several processes: the supervisor's entry, and the worker's.

Both are the same command. The supervisor runs it again for each worker, with
the sockets in its environment; so a reload runs the code and the settings that
are there by then.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, closing

from netkit.addresses import Address
from netkit.errors import UsageError
from netkit.ledger import Ledger
from netkit.limits import raise_descriptor_limit
from netkit.loops import loop_factory
from netkit.server import Server
from netkit.service import Service
from netkit.signals import die_by
from netkit.systemd.notify import Notifier
from netkit.tls.unreadable import say_nothing_of_unreadable_names
from netkit.workers.crew import Crew
from netkit.workers.health import Health
from netkit.workers.inheritance import Inheritance
from netkit.workers.member import serve_as_member
from netkit.workers.sockets import Sockets
from netkit.workers.supervisor import supervise


def worker_count(text: str, service: Service, name: str) -> int:
    """How many workers ``--workers`` means for a service. Raises `UsageError`."""
    if text == "auto":
        count = 1 if service.one_process else len(os.sched_getaffinity(0))
    else:
        count = int(text) if text.isascii() and text.isdigit() else 0
    if not count:
        raise UsageError(f"--workers {text}: give a number from 1 up, or auto")
    if count > 1 and service.one_process:
        raise UsageError(
            f"--workers {count}: {name} keeps its state in one process; leave --workers out"
        )
    return count


def run_crew(
    addresses: Sequence[Address],
    count: int,
    *,
    backlog: int,
    health: Health,
    grace: float,
    announce: Callable[[Sequence[Address]], None],
    beside: Callable[[Crew], AbstractAsyncContextManager[None]],
    at_end: Callable[[], None],
    keeps_bytecode: bool = True,
) -> None:
    """Supervise `count` workers until TERM or INT, then die by that signal.

    Under systemd the supervisor alone speaks to it, for all. `announce` is called
    when all are ready, `at_end` last of all; what `beside` makes is entered before
    the first worker starts and left when all have ended. Without `keeps_bytecode`
    workers write none for what they import (``python -B``). Raises `StartError`, and
    `NotStartedError` if no worker can start.
    """
    raise_descriptor_limit()
    options = [] if keeps_bytecode else ["-B"]
    command = [sys.executable, *options, "-m", "netkit", *sys.argv[1:]]

    async def until_signalled() -> signal.Signals:
        with (
            closing(Notifier.claim()) as notifier,
            closing(Sockets(addresses, backlog)) as sockets,
            closing(Ledger()) as ledger,
        ):
            crew = Crew(command, sockets, ledger, health, grace)
            async with beside(crew):
                return await supervise(crew, count, notifier, lambda: announce(sockets.addresses))

    # asyncio's own loop: uvloop owns SIGCHLD, and what a supervisor does is nowhere fast.
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        number = runner.run(until_signalled())
    at_end()
    die_by(number)


def run_member(
    inheritance: Inheritance,
    prepare: Callable[[Inheritance], Server],
    *,
    loop: str,
    debug: bool,
    beside: Callable[[], AbstractAsyncContextManager[None]],
    at_end: Callable[[], None],
) -> None:
    """Serve as one worker until told to end, then die by that signal.

    What `beside` makes is entered before the server is made.
    """
    raise_descriptor_limit()
    say_nothing_of_unreadable_names()

    async def until_told() -> signal.Signals:
        async with beside():
            return await serve_as_member(inheritance, lambda: prepare(inheritance))

    with asyncio.Runner(loop_factory=loop_factory(loop), debug=debug or None) as runner:
        number = runner.run(until_told())
    at_end()
    die_by(number)
