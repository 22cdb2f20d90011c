"""One run: all entries, in order, and their end.

1. Entries start in their order. One that has a condition holds up those after it until
   that is met; it must be met within a time, and before the entry ends.
2. It is over when all have ended, or one's end is the end of all, or a condition was not
   met, or nobody reads our output, or a signal says so.
3. Then nothing is started any more. Those that run are told by the signal that we got, as
   if each had been run alone at this terminal: INT lets a Python program clean up, where TERM
   would not. For other reasons it is TERM. After `grace`, or at a second signal, it is KILL.
4. A group ends with its leader: no member of one is left behind.
"""

from __future__ import annotations

import asyncio
import signal
from functools import partial
from typing import Any

from netkit.clients.run.together.member import Member, Prefixes
from netkit.clients.run.together.prefixes import OUTPUT, REMARK, prefixes, wants_colour
from netkit.clients.run.together.printer import Printer
from netkit.clients.run.together.readiness import met, wanted
from netkit.clients.run.together.settings import Done, Kill, Settings
from netkit.clients.run.together.verdict import Verdict
from netkit.errors import NetkitError
from netkit.signals import Told, heeded
from netkit.subprocesses.children import Spawner
from netkit.subprocesses.events import End
from netkit.subprocesses.helpers import Helpers

LAST_WRITES = 1.0
"""Seconds for what is not written yet when a signal has ended us."""


async def run(settings: Settings, stdout: int | None, stderr: int | None) -> int:
    """Run them until it is over; the exit status, or less than 0: the signal to die by.

    The latter is what `subprocess.Popen.returncode` would be: ``die_by(Signals(-status))``.
    Output goes to the two descriptors (None: closed), which stay open. Takes the signals of
    `netkit.signals.heeded`, so it runs in the main thread; HUP is passed on. Raises
    `NetkitError` if an entry was not ready in time or output cannot be written, and
    `OutputClosedError` when nobody reads it any more; nothing runs any more by then.
    """
    session = Session(settings, stdout, stderr)
    with heeded(session.hurry, session.reload) as told:
        return await session.run(told)


class Session:
    """One run; `run` may be called once."""

    def __init__(self, settings: Settings, stdout: int | None, stderr: int | None) -> None:
        self._settings = settings
        self._printer = Printer(stdout, stderr)
        self._verdict = Verdict(settings.success)
        self._members = _members(settings, self._printer, stdout, stderr)
        self._tasks: dict[Member, asyncio.Task[End]] = {}
        loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = loop.create_future()
        self._hurry: asyncio.Future[None] = loop.create_future()
        self._ending = False

    def hurry(self) -> None:
        """Wait no longer for those that were told to end."""
        _settle(self._hurry)

    def reload(self) -> None:
        """Pass HUP on: what it means is the commands' affair."""
        for member in self._members:
            member.signal(signal.SIGHUP)

    async def run(self, told: Told) -> int:
        """See `run` of this module."""
        spawner = Helpers(1)
        printing = asyncio.create_task(self._printer.run())
        going = asyncio.create_task(self._go(spawner))
        try:
            await _first(told, printing, going, self._over)
            await _cancelled(going)  # nothing is started any more
            await self._end(told.result() if told.done() else signal.SIGTERM)
            self._printer.close()
            await _first(told, printing)  # a reader may take its time, but a signal ends that
            await asyncio.wait([printing], timeout=LAST_WRITES)
        finally:
            await _cancelled(going, *self._tasks.values())
            await spawner.close()
            await _cancelled(printing)
        if told.done():
            return -told.result()
        for task in (printing, going, *self._tasks.values()):
            if not task.cancelled():
                task.result()
        return self._verdict.status

    async def _go(self, spawner: Spawner) -> None:
        """Start them, and wait for all. Raises `NetkitError` if one is not ready in time."""
        for member in self._members:
            task = asyncio.create_task(member.run(spawner))
            self._tasks[member] = task
            task.add_done_callback(partial(self._ended, member))
            if not await self._ready(member, task):
                return
        await asyncio.wait(self._tasks.values())

    async def _ready(self, member: Member, task: asyncio.Task[End]) -> bool:
        """Wait until the next may start; False if it may not."""
        ready, limit = member.entry.ready, self._settings.ready_timeout
        if ready is None:
            return True
        try:
            async with asyncio.timeout(limit):
                is_met = await met(ready, member.said, task, self._settings.folder)
        except TimeoutError:
            raise NetkitError(
                f"{member.entry.name}: {limit:g} s were over before {wanted(ready)}; "
                "see its output, or raise --ready-timeout"
            ) from None
        if is_met:
            member.remark("ready")
            return True
        early = f"ended before {wanted(ready)}: what comes after it is not started"
        if not task.result().code:
            raise NetkitError(f"{member.entry.name} {early}")
        member.say(early)  # the status is its own
        return False

    def _ended(self, member: Member, task: asyncio.Task[End]) -> None:
        """Judge its end, and whether it is that of all."""
        if task.cancelled() or task.exception():
            _settle(self._over)
            return
        code, kill = task.result().code, self._settings.kill
        self._verdict.ended(member.entry.name, code, by_us=self._ending)
        stepped = member.entry.ready is Done.DONE and not code
        if (kill is Kill.ON_END and not stepped) or (kill is Kill.ON_FAILURE and code):
            _settle(self._over)

    async def _end(self, number: signal.Signals) -> None:
        """Have all end by this signal; by KILL after the grace, or when somebody hurries."""
        self._ending = True
        running = [member for member, task in self._tasks.items() if not task.done()]
        if not running:
            return
        for member in running:
            member.remark(f"{number.name} sent")
            member.end(number)
        ending = asyncio.gather(
            *(self._tasks[member] for member in running), return_exceptions=True
        )
        await _first(ending, self._hurry, timeout=self._settings.grace)
        for member in running:
            if not self._tasks[member].done():
                member.remark("SIGKILL sent")
                member.end(signal.SIGKILL)
        await _first(ending)


def _members(
    settings: Settings, printer: Printer, stdout: int | None, stderr: int | None
) -> list[Member]:
    names = [entry.name for entry in settings.entries]

    def column(fd: int | None, mark: str) -> list[bytes]:
        asked = settings.colour
        return prefixes(names, mark, colour=wants_colour(fd) if asked is None else asked)

    rows = zip(column(stdout, OUTPUT), column(stderr, OUTPUT), column(stderr, REMARK), strict=True)
    return [
        Member(number, entry, settings, printer, Prefixes(*row))
        for number, (entry, row) in enumerate(zip(settings.entries, rows, strict=True), 1)
    ]


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _first(*futures: asyncio.Future[Any], timeout: float | None = None) -> None:
    await asyncio.wait(futures, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)


async def _cancelled(*tasks: asyncio.Task[Any]) -> None:
    """Cancel them and wait for that; what they raise stays in them."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
