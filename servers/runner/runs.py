"""All jobs of the server: those that run, those that wait, and detached ones that are kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass

from netkit.servers.runner.admission import Admission, Caps
from netkit.servers.runner.audit import Audit
from netkit.servers.runner.callers import Caller
from netkit.servers.runner.job import Order, Run
from netkit.servers.runner.refusals import RefusedError
from netkit.subprocesses.children import Spawner


@dataclass(frozen=True)
class Keeping:
    """What is kept of detached jobs."""

    replay: int = 1024 * 1024
    """Bytes of each one's output."""
    seconds: float = 3600.0
    """After its end."""
    most: int = 64
    most_per_caller: int = 16


class Runs:
    """The jobs, each with its task; `end` ends all."""

    def __init__(self, caps: Caps, keeping: Keeping, audit: Audit, spawner: Spawner) -> None:
        self.admission = Admission(caps)
        self._keeping, self._audit, self._spawner = keeping, audit, spawner
        self._tasks: dict[asyncio.Task[None], Run] = {}
        self._kept: dict[str, Run] = {}
        self._ending = False
        self.begun = 0
        """Jobs so far."""
        self.refused = 0
        """Wishes that were refused so far."""

    @property
    def kept(self) -> int:
        """Detached jobs, whether they run, wait or have ended."""
        return len(self._kept)

    def submit(self, order: Order) -> Run:
        """Begin a job; it lives on by itself. Raises `RefusedError`."""
        if self._ending:
            raise RefusedError("ending", "the server is going down")
        if order.detach:
            self._make_room(order.caller)
        run = Run(order, self.admission, self._keeping.replay)
        if order.detach:
            self._kept[run.id] = run
        task = asyncio.create_task(run.live(self._audit, self._spawner))
        self._tasks[task] = run
        task.add_done_callback(self._tasks.pop)
        self.begun += 1
        return run

    async def refuse(self, caller: Caller | None, peer: str, what: str, why: str) -> None:
        """Record a wish that was refused."""
        self.refused += 1
        names = sorted(caller.names) if caller else []
        await self._audit.refused(caller=names, peer=peer, command=what[:64], why=why)

    def of(self, caller: Caller) -> list[Run]:
        """The detached jobs of a caller, oldest first."""
        return [each for each in self._kept.values() if each.order.caller == caller]

    def find(self, number: str, caller: Caller) -> Run:
        """A detached job of a caller's. Raises `RefusedError`: others' are not there."""
        run = self._kept.get(number)
        if run is None or run.order.caller != caller:
            raise RefusedError("gone", f"{number[:40]!r} is no detached job of yours, or no more")
        return run

    def expire(self) -> None:
        """Forget what has ended long ago."""
        now = time.time()
        for run in self._ended():
            assert run.exit
            if now - run.began - run.exit.seconds > self._keeping.seconds:
                del self._kept[run.id]

    async def close_door(self) -> None:
        """Take no more jobs, and wait for the end of those that are there."""
        self._ending = True
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def end(self) -> None:
        """End all, and wait for that."""
        self._ending = True
        for run in list(self._tasks.values()):
            run.kill("server")
        await self.close_door()

    def _make_room(self, caller: Caller) -> None:
        keeping = self._keeping
        own = [each for each in self._kept.values() if each.order.caller == caller]
        if len(own) >= keeping.most_per_caller:
            self._forget_one(own, "you have")
        if len(self._kept) >= keeping.most:
            self._forget_one(self._kept.values(), "there are")

    def _forget_one(self, runs: Iterable[Run], who: str) -> None:
        ended = next((each for each in runs if each.exit and not each.watchers), None)
        if ended is None:
            raise RefusedError("limit", f"{who} too many detached jobs; end some of them")
        del self._kept[ended.id]

    def _ended(self) -> list[Run]:
        return [each for each in self._kept.values() if each.exit and not each.watchers]
