"""One run of ``netkit listen``: open, hear until it is over, write what is left, sum up."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from typing import Any

from netkit.clients.connect.text import Harmless
from netkit.clients.listen import report
from netkit.clients.listen.events import Begun, Ended
from netkit.clients.listen.listener import unavailable
from netkit.clients.listen.message import Message
from netkit.clients.listen.output import json
from netkit.clients.listen.output.exec import Commands
from netkit.clients.listen.output.outputs import Outputs
from netkit.clients.listen.output.text import Text
from netkit.clients.listen.raw import RawHearing
from netkit.clients.listen.reception import Reception
from netkit.clients.listen.saying import Saying
from netkit.clients.listen.settings import Outgoing, Wishes
from netkit.clients.listen.subscription import Happening, Refused, Subscribed, Unanswered
from netkit.signals import Told, heeded
from netkit.stdio import Streams

LAST_WRITES = 1.0
"""Seconds for what is not written yet when a signal has ended us."""


@dataclass(frozen=True, slots=True)
class Standard:
    """Standard output and error as descriptors; None: closed. They stay open."""

    stdout: int | None
    stderr: int | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went."""

    lost: bool
    """Whether anything was lost for good, on the way or here."""
    signal: signal.Signals | None
    """By which the process is to die."""


class Session:
    """One run; `run` may be called once."""

    def __init__(self, wishes: Wishes, standard: Standard) -> None:
        self._wishes = wishes
        self._standard = standard
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time()
        self._outputs = Outputs()
        self._saying = Saying(standard.stderr)
        self._left = wishes.until.count
        self._enough: asyncio.Future[None] = self._loop.create_future()
        wanted = self._left is not None or bool(
            wishes.outgoing.form or wishes.outgoing.command or wishes.outgoing.record
        )
        self._reception = Reception(
            wishes.where,
            wishes.how,
            self._deliver if wanted else None,
            told=self._hear_turn,
            happens=self._hear_happening,
            capture=self._outputs.capture,
        )
        feeds = self._reception.feeds
        self._totals = None if feeds is None else report.Totals(feeds)

    async def run(self) -> Outcome:
        """Listen until it is over.

        Raises `UsageError`, `StartError`, `NetworkError`, `NetkitError` for our own files, and
        `OutputClosedError` when nobody reads our output any more.
        """
        with heeded(_nothing, _nothing) as told:
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(self._saying)
                # Addresses first: one that is wrong must not cost the recording of last time.
                await self._reception.bind()
                stack.push_async_callback(self._reception.close)
                await stack.enter_async_context(self._outputs)
                self._open_outputs(stack, self._wishes.outgoing)
                await stack.enter_async_context(self._reception)
                self._begin()
                await self._until_over(told)
                await self._reception.close()  # delivers what was held back
                await self._finish(told)
                if not self._wishes.remarks.quiet:
                    self._saying.say(self._summary())
            return Outcome(self._lost(), told.result() if told.done() else None)

    def _begin(self) -> None:
        """Say where we listen: from now on nothing is missed."""
        remarks, reception = self._wishes.remarks, self._reception
        if remarks.as_json:
            self._saying.say(report.beginning(reception.addresses, reception.buffer))
        elif not remarks.quiet:
            for address in reception.addresses:
                self._saying.say(f"listening on {address}")
            wanted = self._wishes.where.buffer
            if reception.buffer < wanted:
                self._saying.say(
                    f"the kernel grants {reception.buffer:,} bytes of receive buffer of "
                    f"{wanted:,}: raise net.core.rmem_max"
                )

    def _open_outputs(self, stack: AsyncExitStack, wishes: Outgoing) -> None:
        if wishes.record:
            self._outputs.recorded(wishes.record)
        if wishes.pcap:
            self._outputs.captured(wishes.pcap)
        if wishes.command:
            self._outputs.executed(Commands(wishes.command, wishes.jobs))
        if wishes.form:
            stdout = self._standard.stdout
            # A terminal must not obey the sender.
            show = Harmless() if stdout is not None and os.isatty(stdout) else None
            streams = stack.enter_context(closing(Streams(None, stdout, None, show)))
            form = Text(wishes.end) if wishes.form == "text" else json.line
            self._outputs.printed(form, streams.write)

    async def _until_over(self, told: Told) -> None:
        """Wait for a signal, the feeds' end, enough, or something that fails."""
        until = self._wishes.until
        tasks = [self._loop.create_task(self._outputs.broken())]
        if not until.keep:
            tasks.append(self._loop.create_task(_wait(self._reception.hearing.ended)))
        if self._wishes.remarks.interval:
            tasks.append(self._loop.create_task(self._live(self._wishes.remarks.interval)))
        try:
            either: list[asyncio.Future[Any]] = [told, self._enough, *tasks]
            done, _ = await asyncio.wait(
                either, timeout=until.duration, return_when=asyncio.FIRST_COMPLETED
            )
            for each in done:
                each.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _finish(self, told: Told) -> None:
        """Write what is left; after a signal, what can be written soon."""
        finishing = self._loop.create_task(self._outputs.finish())
        try:
            either: list[asyncio.Future[Any]] = [told, finishing]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait([finishing], timeout=LAST_WRITES)
            if finishing.done():
                finishing.result()
        finally:
            finishing.cancel()
            await asyncio.gather(finishing, return_exceptions=True)
            await self._outputs.give_up()

    def _deliver(self, messages: list[Message]) -> None:
        if self._left is not None:
            messages = messages[: self._left]
            self._left -= len(messages)
            if not self._left and not self._enough.done():
                self._enough.set_result(None)
        if messages:
            self._outputs.deliver(messages)

    def _hear_turn(self, turn: Begun | Ended) -> None:
        if isinstance(turn, Begun) and self._totals:
            self._totals.begun(turn.feed, self._loop.time())

    def _hear_happening(self, happening: Happening) -> None:
        server = self._wishes.where.subscribe
        quiet = self._wishes.remarks.quiet or self._wishes.remarks.as_json
        if isinstance(happening, Subscribed) and not quiet:
            self._saying.say(f"subscribed: the feed is ours from number {happening.next} on")
        if not isinstance(happening, (Refused, Unanswered)) or server is None:
            return
        # Whoever stays goes on asking.
        if not self._wishes.until.keep and not self._enough.done():
            self._enough.set_exception(unavailable(happening, server.authority))

    async def _live(self, interval: float) -> None:
        while True:
            await asyncio.sleep(interval)  # a line each so many seconds is what is asked for
            figures, ours = self._figures()
            if self._wishes.remarks.as_json:
                self._saying.say(report.as_json(figures, ours, self._loop.time() - self._start))
            else:
                numbered = not self._wishes.how.raw
                self._saying.say(report.words(figures, ours, numbered=numbered))

    def _summary(self) -> str:
        figures, ours = self._figures()
        seconds = self._loop.time() - self._start
        if self._wishes.remarks.as_json:
            return report.as_json(figures, ours, seconds)
        return report.summary(figures, ours, seconds, numbered=not self._wishes.how.raw)

    def _figures(self) -> tuple[report.Figures, report.Ours]:
        hearing, now = self._reception.hearing, self._loop.time()
        figures = report.Figures()
        rejected = {}
        if isinstance(hearing, RawHearing):
            rate, size = hearing.rate.read(now)
            figures = report.Figures(hearing.delivered, hearing.bytes, rate=rate, bits=size * 8)
        else:
            rejected = dict(hearing.feeds.rejected)
            if self._totals:
                figures = self._totals.read(now)
        kernel, outputs = self._reception.dropped, self._outputs
        return figures, report.Ours(kernel, outputs.unwritten, rejected, outputs.failed)

    def _lost(self) -> bool:
        figures, ours = self._figures()
        # Of a feed without numbers nobody else can tell.
        kernel = ours.kernel if self._wishes.how.raw else 0
        return bool(figures.lost or kernel or any(ours.unwritten.values()))


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


def _nothing() -> None:
    """A second signal changes nothing: what follows the first is short. Nor is there a reload."""
