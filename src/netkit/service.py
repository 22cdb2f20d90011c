"""What a server author hands to netkit: a plain asyncio callable, or a `Service`.

The first three kinds of target need no import from netkit:

1. a stream handler, ``async def handle(reader, writer)``;
2. a factory (or class) of `asyncio.Protocol` or `asyncio.BufferedProtocol`;
3. a factory (or class) of `asyncio.DatagramProtocol`;
4. a `Service`, for a server that has state or settings.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import ClassVar, Self

from netkit.addresses import Address

StreamHandler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ProtocolFactory = Callable[[], asyncio.BaseProtocol]
DatagramFactory = Callable[[], asyncio.DatagramProtocol]


Figure = float | Mapping[str, Mapping[str, float]]
"""A number; or by a label's name and values a number for each."""


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

    keeps_hello: bool = False
    """True if ``transport.get_extra_info("client_hello")`` is to give each TLS client's first
    message, as it came: `netkit.tls.hello` reads it. Asked once, when it begins to listen."""

    asks_for_interfaces: ClassVar[bool] = False
    """True if it asks the kernel which network interfaces there are: a hardened unit allows it."""

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

    def figures(self) -> Mapping[str, Figure]:
        """Count for ``/metrics``: names that end in ``_total`` are counters, others gauges.

        One that is to be told apart is a number for each value of a label:
        ``{"jobs_total": {"kind": {"mail": 3, "print": 1}}}``.

        Asked at every scrape, in the loop, so return what is known already; and once
        more at the end, after the lifespan. Names are Prometheus's (``jobs_total``,
        ``queue_bytes``) and do not begin with ``netkit_``. What it raises is logged once.
        """
        return {}

    def listens(self) -> Sequence[str] | None:
        """Addresses that its settings ask for, as ``--bind`` has them, besides those given there.

        None, the default: where nothing is asked for it listens on its usual ports.
        """
        return None

    def encrypts(self) -> bool:
        """Whether it listens with TLS though nobody asks for that, as ``--tls`` does."""
        return False

    def alpn(self) -> Sequence[str]:
        """Protocols that TLS offers by ALPN, best first, where ``--ssl-alpn`` names none."""
        return ()

    def commands(self, address: Address) -> Sequence[str]:
        """One-line commands by which a person can try it there, for the lines at its start.

        Empty, the default: those that suit any server.
        """
        return ()

    def admits(self, address: Address, *, verified: bool) -> None:
        """Raise `UsageError` to refuse to listen on an address; asked before anything starts.

        `verified`: whether TLS demands client certificates there. For a service that must
        know its peers; by default every address will do.
        """

    async def run(self) -> None:
        """Do what is to be done without being asked by a peer, as a sender does.

        Begins when the server accepts connections. When it returns, the server drains
        and ends (``netkit serve`` with status 0); one without it serves until told to
        end. After `drain` it has the grace period to return, then it is cancelled.
        A `NetkitError` ends the server as it says.
        """

    async def drain(self) -> None:
        """Hear that shutdown has begun: no new connection comes, the open ones may finish.

        Say goodbye here. Return soon: the grace period runs meanwhile.
        """
