"""What a server author hands to netkit: a plain asyncio callable, or a `Service`.

The first three kinds of target need no import from netkit:

1. a stream handler, ``async def handle(reader, writer)``;
2. a factory (or class) of `asyncio.Protocol` or `asyncio.BufferedProtocol`;
3. a factory (or class) of `asyncio.DatagramProtocol`;
4. a `Service`, for a server that has state or settings.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import ClassVar, Self

StreamHandler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ProtocolFactory = Callable[[], asyncio.BaseProtocol]
DatagramFactory = Callable[[], asyncio.DatagramProtocol]


class Service:
    """A server with state and settings; write it as a ``@dataclass``.

    Its fields are its settings: ``motd: str = "…"`` becomes ``--motd``. Help text
    is ``field(metadata={"help": "…"})``; the class docstring is the command's.
    Allowed types: str, int, float, bool, Path, their ``| None``, and Literal of str.

    Lifespan: the runtime enters the service (``async with``) in the running loop
    before it listens, and leaves it after the last connection has ended. Override
    `__aenter__` and `__aexit__` to open and close what connections share.

    Hand out a stream handler by overriding `handle`, or anything else by
    overriding `stream` and `datagram`.
    """

    port: ClassVar[int] = 8000
    """Port when none is asked for."""
    tls_port: ClassVar[int | None] = None
    """Port under ``--tls`` when none is asked for; None: `port`."""
    one_process: ClassVar[bool] = False
    """True if its state lives in one process, so that several workers would split it."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end; netkit closes the writer afterwards."""
        raise NotImplementedError

    def stream(self) -> StreamHandler | ProtocolFactory | None:
        """What serves TCP, TLS and Unix connections; None if this service is datagrams only."""
        return None if type(self).handle is Service.handle else self.handle

    def datagram(self) -> DatagramFactory | None:
        """What serves a UDP socket; None if this service is streams only."""
        return None

    async def drain(self) -> None:
        """Hear that shutdown has begun: no new connection comes, the open ones may finish.

        Say goodbye here. Return soon: the grace period runs meanwhile.
        """
