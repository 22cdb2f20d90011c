"""Which worker serves which sockets: start, watch, replace, scale.

Rules:

- The first worker starts alone. If it fails, so would the others: the reason is
  said once, and nothing has started.
- A worker is replaced replacement-first: the next one is ready on the same
  sockets before the old one drains. If the next one fails, the old one stays.
- A worker that dies is started again: at once after a good life, else after a
  delay that doubles.
- With fewer workers than sets of sockets, the sets are dealt out among those
  that stay.
- One change at a time, in the order in which they were asked for. However often a
  reload is asked for during another, one more follows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from netkit.errors import NetkitError, StartError
from netkit.ledger import Ledger
from netkit.plurals import counted
from netkit.workers.child import Child, Failure, said
from netkit.workers.departures import Departures
from netkit.workers.health import Health
from netkit.workers.places import Place, dealt
from netkit.workers.sockets import Sockets

log = logging.getLogger("netkit.workers")

LOOK = 1.0
"""Seconds between looks at a worker's health."""


class NotStartedError(NetkitError):
    """No worker could start; `exit_code` is the first one's own."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.why)
        self.exit_code = failure.status  # type: ignore[misc]  # of this instance


class Crew:
    """All workers of a supervisor. `start` it, then `stop` it in any case."""

    def __init__(
        self,
        command: Sequence[str],
        sockets: Sockets,
        ledger: Ledger,
        health: Health,
        grace: float,
    ) -> None:
        self.places: list[Place] = []
        self.wanted = 0
        """How many places there are once all that was asked for is done."""
        self.deaths = 0
        """Workers that ended without being told."""
        self.departures = Departures(grace)
        self._command = command
        self._sockets = sockets
        self._ledger = ledger
        self._health = health
        self._stopping = False
        self._changing = asyncio.Lock()
        self._reload_is_due = False
        self._spawning = asyncio.Lock()
        self._loop = asyncio.get_running_loop()

    @property
    def ready(self) -> bool:
        """Whether somebody accepts connections."""
        return not self._stopping and any(place.child is not None for place in self.places)

    async def start(self, count: int) -> None:
        """Return when all are ready. Raises `NotStartedError` if the first one is not."""
        self.wanted = count
        async with self._changing:
            self._sockets.provide(count)
            for number, sets in enumerate(dealt(count, count), 1):
                self.places.append(Place(number, sets))
            self._ledger.share_among(count)
            first, *others = self.places
            child = await self._started(first)
            if isinstance(child, Failure):
                raise NotStartedError(child)
            first.child = child
            self._tend(first)
            await asyncio.gather(*(self._filled(place) for place in others))

    async def reload(self) -> None:
        """Replace all workers, one after the other; stop at the first that cannot be.

        Returns at once if a reload is due that has not begun: that one is new enough.
        """
        if self._reload_is_due:
            return
        self._reload_is_due = True
        async with self._changing:
            self._reload_is_due = False
            for place in list(self.places):
                if not await self._replaced(place):
                    log.error("reload given up: the workers that serve go on")
                    return
            log.info("reloaded %s", counted(len(self.places), "worker"))

    async def scale(self, count: int) -> None:
        """Have so many workers, at least 1; no newcomer is lost on the way."""
        self.wanted = count
        async with self._changing:
            before = len(self.places)
            try:
                self._sockets.provide(count)
            except StartError as error:
                self.wanted = before
                log.error("cannot add a worker: %s", error)
                return
            deal = dealt(len(self._sockets.sets), count)
            for number in range(before + 1, count + 1):
                place = Place(number, deal[number - 1])
                self.places.append(place)
                self._ledger.share_among(len(self.places))
                await self._filled(place)
            # Those that get other sockets serve them before those who had them leave.
            for place, sets in zip(self.places, deal, strict=False):
                if place.sets != sets:
                    old, place.sets = place.sets, sets
                    if not await self._replaced(place):
                        place.sets = old
                        self.wanted = len(self.places)
                        still = counted(self.wanted, "worker")
                        log.error("still %s: one could not be replaced", still)
                        return
            for place in self.places[count:]:
                self._give_up(place)
            del self.places[count:]
            self._ledger.share_among(count)
            log.info("%s", counted(count, "worker"))

    def hurry(self) -> None:
        """End all grace periods now."""
        for child in self.children:
            child.hurry()

    async def stop(self) -> None:
        """Drain all workers, and wait for the end of each."""
        self._stopping = True
        self.departures.drain()
        tasks = [place.task for place in self.places if place.task is not None]
        for place in self.places:
            self._give_up(place)
        self.places.clear()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.departures.gone()

    # ---- one place ----

    def _tend(self, place: Place) -> None:
        place.task = self._loop.create_task(self._tending(place))

    async def _filled(self, place: Place) -> None:
        """Begin to tend a place, and wait until it has its first worker."""
        place.answer = self._loop.create_future()
        self._tend(place)
        while not await place.answer:
            place.answer = self._loop.create_future()

    async def _replaced(self, place: Place) -> bool:
        place.answer = self._loop.create_future()
        place.asked.set()
        return await place.answer

    async def _tending(self, place: Place) -> None:
        while True:
            if place.child is None:
                await self._fill(place)
                continue
            why = await self._watched(place, place.child)
            if why:
                await self._replace(place, place.child, why)
            else:
                await self._buried(place, place.child)

    async def _fill(self, place: Place) -> None:
        child = await self._started(place)
        if isinstance(child, Failure):
            log.error("worker %d could not start: %s", place.number, child.why)
            place.answered(False)
            await place.back_off(0.0)
        else:
            place.child = child
            place.answered(True)

    async def _replace(self, place: Place, old: Child, why: str) -> None:
        log.debug("worker %d (pid %d) is replaced: %s", place.number, old.pid, why)
        new = await self._started(place)
        if isinstance(new, Failure):
            log.error("worker %d cannot be replaced: %s", place.number, new.why)
            place.answered(False)
            place.bear_until = self._loop.time() + place.restarts.after(0.0)
        else:
            place.child = new
            self.departures.see_out(old)
            place.answered(True)

    async def _buried(self, place: Place, child: Child) -> None:
        status = await child.ended()
        self.departures.settle(child)
        place.child = None
        self.deaths += 1
        log.warning(
            "worker %d (pid %d) died: %s; starting another", place.number, child.pid, said(status)
        )
        await place.back_off(child.served())

    async def _started(self, place: Place) -> Child | Failure:
        """Start a worker for a place, and wait until it is ready or will never be."""
        endpoints = [each for index in place.sets for each in self._sockets.sets[index]]
        try:
            async with self._spawning:
                child = await Child.start(place.number, self._command, endpoints, self._ledger)
        except OSError as error:
            return Failure(f"cannot start a process: {error.strerror}", StartError.exit_code)
        try:
            try:
                async with asyncio.timeout(self._health.timeout_start):
                    await child.listen()
            except TimeoutError:
                why = f"it was not ready after {self._health.timeout_start:g} s"
                child.failure = Failure(why, StartError.exit_code)
            if child.ready_at:
                return child
        except asyncio.CancelledError:
            child.kill()
            self.departures.see_out(child)
            raise
        child.kill()
        status = await child.ended()
        return child.failure or Failure(f"it ended: {said(status)}", StartError.exit_code)

    async def _watched(self, place: Place, child: Child) -> str:
        """Why a worker is to be replaced; empty when it has ended by itself."""
        ended = self._loop.create_task(child.process.wait())
        asked = self._loop.create_task(place.asked.wait())
        hearing = self._loop.create_task(child.listen())
        looked = self._loop.time()
        try:
            while True:
                await asyncio.wait(
                    [ended, asked], timeout=LOOK, return_when=asyncio.FIRST_COMPLETED
                )
                if ended.done():
                    return ""
                if asked.done():
                    return "asked for"
                now, before = self._loop.time(), looked
                looked = now
                if now - before >= self._health.timeout / 2:
                    child.heard_at = now  # we were stopped ourselves (Ctrl-Z), and heard nobody
                elif now - child.heard_at >= self._health.timeout:
                    stack = await child.doing()
                    inside = f" in {stack[-1]}" if stack else ""
                    log.error(
                        "worker %d (pid %d) has hung for %g s%s: killed",
                        place.number, child.pid, self._health.timeout, inside,
                    )  # fmt: skip
                    child.kill()
                    await ended
                elif now >= place.bear_until and (
                    why := self._health.worn(child.served(), child.figures)
                ):
                    return why
        finally:
            for task in (ended, asked, hearing):
                task.cancel()
            await asyncio.gather(ended, asked, hearing, return_exceptions=True)

    # ---- ends ----

    @property
    def children(self) -> list[Child]:
        """All that live: those that serve, and those that are on their way out."""
        return [*(place.child for place in self.places if place.child), *self.departures.leaving]

    def _give_up(self, place: Place) -> None:
        """Let a place's worker go, with no other after it."""
        if place.task is not None:
            place.task.cancel()
        if place.child is not None:
            self.departures.see_out(place.child)
            place.child = None
