"""The way in from Python: messages by ``async for``."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from netkit.addresses import parse
from netkit.clients.listen.message import Message
from netkit.clients.listen.reception import Reception
from netkit.clients.listen.settings import How, Where
from netkit.clients.listen.subscription import Happening, Refused, Unanswered
from netkit.errors import NetworkError

MOST_WAITING = 10_000
"""Messages; of the longest they take 640 MB, of 1,200 bytes 16."""


class Listener:
    """Listens for the length of an ``async with`` block; `listen` makes one.

    Iterating gives messages in order, and ends when each feed that was heard has been ended
    by its sender. It raises `NetworkError` when a subscription is refused or not answered.
    """

    def __init__(self, where: Where, how: How) -> None:
        self.dropped = 0
        """Messages that waited in vain for being taken."""
        self.reception = Reception(where, how, self._deliver, happens=self._hear)
        """The sockets and cores behind it, with their counts."""
        self._where = where
        self._waiting: deque[Message] = deque()
        self._failure: NetworkError | None = None
        self._arrival = asyncio.Event()
        self._ending: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.reception.__aenter__()
        self._ending = asyncio.get_running_loop().create_task(self._end())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._ending is not None:
            self._ending.cancel()
            await asyncio.gather(self._ending, return_exceptions=True)
        await self.reception.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        while not self._waiting:
            if self._failure:
                raise self._failure
            if self._ending is None or self._ending.done():
                raise StopAsyncIteration
            self._arrival.clear()
            await self._arrival.wait()
        return self._waiting.popleft()

    async def _end(self) -> None:
        await self.reception.hearing.ended.wait()
        self._arrival.set()

    def _deliver(self, messages: list[Message]) -> None:
        room = MOST_WAITING - len(self._waiting)
        self._waiting.extend(messages[:room])
        self.dropped += max(0, len(messages) - room)
        self._arrival.set()

    def _hear(self, happening: Happening) -> None:
        if isinstance(happening, (Refused, Unanswered)) and self._where.subscribe:
            self._failure = unavailable(happening, self._where.subscribe.authority)
            self._arrival.set()


def listen(
    *addresses: str,
    interface: str = "",
    sources: Sequence[str] = (),
    subscribe: str | None = None,
    raw: bool = False,
    key: Path | None = None,
    repair: bool = True,
    hold: float = 0.1,
) -> Listener:
    """Hear feeds in the running loop::

        async with listen("239.1.2.3:9999", interface="eth0") as listener:
            async for message in listener:
                print(message.sequence, message.payload)

    `addresses` are groups, broadcast addresses or our own; `subscribe` is a broadcaster that
    is asked to send to us. The rest is as in ``netkit listen --help``. Raises `UsageError`,
    and on entering `StartError` and `NetworkError`.
    """
    at = tuple(parse(text, default_scheme="udp", flag="listen") for text in addresses)
    server = parse(subscribe, default_scheme="udp", flag="subscribe") if subscribe else None
    where = Where(at, interface, tuple(sources), server)
    return Listener(where, How(raw, key, repair, hold))


def unavailable(happening: Refused | Unanswered, server: str) -> NetworkError:
    """Why there is no subscription."""
    if isinstance(happening, Refused):
        return NetworkError(f"{server} refuses: it has as many subscribers as it may have")
    return NetworkError(f"{server} does not answer: check the address, and that it has --subscribe")
