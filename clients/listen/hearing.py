"""Between the sockets and the cores: clocks, one timer, and events that become messages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

from netkit.clients.listen import runs
from netkit.clients.listen.events import (
    Address,
    Begun,
    Delivered,
    DeliveredRun,
    End,
    Ended,
    Event,
    How,
    Identity,
    Lost,
)
from netkit.clients.listen.feeds import Feeds
from netkit.clients.listen.message import Message
from netkit.clients.listen.runs import Run
from netkit.clients.listen.subscribing import Subscriber
from netkit.feeds.format import SIZE
from netkit.peernames import written

Send = Callable[[bytes, Address], None]
"""Sends a datagram to an address."""
Deliver = Callable[[list[Message]], None]
"""Takes messages; called in the loop, it must not wait."""

MOST_WAYS = 4096
"""Addresses of which is remembered by which socket they came."""


class Ear(Protocol):
    """What a receiver hands datagrams to, with the way by which an answer goes out."""

    def hear(self, datagram: bytes, source: Address, send: Send) -> None:
        """Hear of one."""

    def hear_run(self, view: memoryview, size: int, source: Address, send: Send) -> None:
        """Hear of many of `size` bytes in one buffer, the last perhaps shorter."""


class Hearing:
    """Feeds with headers. Nothing is delivered any more after `close`.

    `deliver` is left out where nobody wants messages: then runs are only counted.
    `told` hears of feeds that begin and end.
    """

    def __init__(
        self,
        feeds: Feeds,
        deliver: Deliver | None = None,
        *,
        sealed: bool = False,
        told: Callable[[Begun | Ended], None] | None = None,
    ) -> None:
        self.feeds = feeds
        self.ended = asyncio.Event()
        """Set when every feed that was heard has been ended by its sender."""
        self._deliver = deliver
        self._sealed = sealed
        self._subscriber: Subscriber | None = None
        self._told = told
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None
        self._gaps: dict[Identity, int] = {}
        self._ways: dict[Address, Send] = {}

    def hear(self, datagram: bytes, source: Address, send: Send) -> None:
        """Hear of one."""
        self._remember(source, send)
        self._hear(datagram, source, self._loop.time(), time.time_ns())
        self._rearm()

    def hear_run(self, view: memoryview, size: int, source: Address, send: Send) -> None:
        """Hear of many: in one step what is a run that has not come yet, else one by one."""
        self._remember(source, send)
        now, arrived = self._loop.time(), time.time_ns()
        whole = len(view) - len(view) % size if size else 0
        found = [] if whole <= size or self._sealed else runs.read(view[:whole], size)
        singly = not found or whole < len(view)
        for run in found:
            if run.count == 1 or not self._at_once(run, source, now, arrived):
                singly = True
                self._one_by_one(run.view, size, source, now, arrived)
        self._one_by_one(view[whole:] if found else view, size, source, now, arrived)
        if singly or self._due is None:
            self._rearm()

    def attend(self, subscriber: Subscriber) -> None:
        """Hand on what is meant for a subscriber, and have its time on our timer."""
        self._subscriber = subscriber
        self._rearm()

    def subscribed(self, feed: Identity, first: int, source: Address, send: Send) -> None:
        """Hear that a feed is sent to us from number `first` on."""
        self._remember(source, send)
        self._tell(self.feeds.subscribed(feed, first, source, self._loop.time()))
        self._rearm()

    def close(self) -> None:
        """End all feeds: what is held back is delivered, what is missing is lost."""
        self._cancel()
        self._tell(self.feeds.close())
        self._deliver = None

    def _rearm(self) -> None:
        """Have one timer for the next thing that any core has to do."""
        due = self.feeds.deadline
        if self._subscriber and (asking := self._subscriber.deadline) is not None:
            due = asking if due is None else min(due, asking)
        if due is None:
            self._cancel()
        elif self._due is None or due < self._due:  # one that fires too early arms the next
            self._cancel()
            self._due = due
            self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = self._due = None
        now = self._loop.time()
        self._tell(self.feeds.tick(now))
        for ask, address in self.feeds.outgoing(time.time_ns()):
            if send := self._ways.get(address):
                send(ask, address)
        if self._subscriber:
            self._subscriber.tick(now)
        self._rearm()

    def _cancel(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._due = None

    def _remember(self, source: Address, send: Send) -> None:
        if len(self._ways) >= MOST_WAYS and source not in self._ways:
            self._ways.clear()  # whoever is asked is heard again soon
        self._ways[source] = send

    def _hear(self, datagram: bytes, source: Address, now: float, arrived: int) -> None:
        if self._subscriber is None or not self._subscriber.hear(datagram, now):
            self._tell(self.feeds.receive(datagram, source, now, arrived))

    def _one_by_one(
        self, view: memoryview, size: int, source: Address, now: float, arrived: int
    ) -> None:
        for at in range(0, len(view), size) if size else (0,):
            self._hear(bytes(view[at : at + size]), source, now, arrived)

    def _at_once(self, run: Run, source: Address, now: float, arrived: int) -> bool:
        feed = self.feeds.find(run.feed)
        if feed is None:
            return False
        size = len(run.view) // run.count
        if feed.run(
            run.first, run.count, run.count * (size - SIZE), run.times, run.extra,
            source, now, arrived,
        ):  # fmt: skip
            if self._deliver:
                self._deliver(
                    self._messages_of(run.feed, run.first, run.view, size, source, arrived)
                )
            return True
        # The buffer is the receiver's, and will be used again: what is held back is a copy.
        held = DeliveredRun(run.feed, run.first, run.count, bytes(run.view), arrived, source)
        if not feed.run_ahead(held, run.times, run.extra, now):
            return False
        self._tell(feed.take())
        return True

    def _messages_of(
        self, feed: Identity, first: int, view: memoryview, size: int, source: Address, arrived: int
    ) -> list[Message]:
        where = _written(source)
        gap = self._gaps.pop(feed, 0)
        messages = []
        for number, sent, payload in runs.each(first, view, size):
            latency = (arrived - sent) / 1e9
            messages.append(Message(payload, where, sent, latency, *feed, number, gap))
            gap = 0
        return messages

    def _tell(self, events: list[Event]) -> None:
        messages = []
        for event in events:
            if isinstance(event, Delivered):
                messages.append(self._message(event))
            elif isinstance(event, DeliveredRun):
                messages += self._messages(event)
            elif isinstance(event, Lost):
                self._gaps[event.feed] = self._gaps.get(event.feed, 0) + event.count
            else:
                self._turn(event)
        if messages and self._deliver:
            self._deliver(messages)

    def _messages(self, event: DeliveredRun) -> list[Message]:
        if not self._deliver:
            return []
        view, size = memoryview(event.datagrams), len(event.datagrams) // event.count
        return self._messages_of(event.feed, event.first, view, size, event.source, event.arrived)

    def _message(self, event: Delivered) -> Message:
        feed, number, sent, arrived, payload, source, how = event
        gap = self._gaps.pop(feed, 0)
        latency = (arrived - sent) / 1e9
        return Message(
            payload, _written(source), sent, latency, *feed, number, gap, how is not How.DIRECT
        )

    def _turn(self, event: Begun | Ended) -> None:
        if self._told:
            self._told(event)
        if isinstance(event, Ended):
            self._gaps.pop(event.feed, None)
            if event.why is End.ENDED and all(feed.ended for feed in self.feeds):
                self.ended.set()


@lru_cache(maxsize=1024)
def _written(address: Address) -> str:
    return written(address)
