"""Echo: what comes in goes out again (RFC 862), in asyncio's three ways.

Start it, then talk to it over TCP and over UDP::

    netkit serve echo
    echo hello | ncat 127.0.0.1 8007
    echo hello | socat -t 1 - UDP:127.0.0.1:8007

Everything sent comes back, also what was sent just before the end of input: a
connection closes when its last byte is out. A client that sends and never reads
costs no more than one full write buffer, since nothing further is read from it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal, cast

from netkit import Service
from netkit.servers.datagrams import is_question
from netkit.service import DatagramFactory, ProtocolFactory, StreamHandler

READ_SIZE: Final = 64 * 1024
"""Most bytes of one read: the default limit at which a stream reader stops the peer."""


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Echo with streams: the easiest to read, a task for each connection."""
    while data := await reader.read(READ_SIZE):
        writer.write(data)
        del data  # else each quiet connection keeps its last 64 KiB
        await writer.drain()


class EchoProtocol(asyncio.Protocol):
    """Echo with callbacks: no task and no stream buffers between the socket and the answer.

    At the end of input `asyncio.Protocol` closes the transport, which first
    writes out what it still holds.
    """

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to answer on."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Send back what came."""
        self.transport.write(data)

    def pause_writing(self) -> None:
        """Stop reading: the peer takes our answers more slowly than it sends."""
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again: the write buffer has drained."""
        self.transport.resume_reading()


class EchoDatagrams(asyncio.DatagramProtocol):
    """Echo with datagrams: no connection, one object for all who send.

    Nothing can slow a sender down, so while the socket takes no more, echoes are
    dropped. What another server seems to have sent is not echoed either, lest the
    two talk for ever.
    """

    transport: asyncio.DatagramTransport
    paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, and the port that is ours."""
        self.transport = cast("asyncio.DatagramTransport", transport)
        self.own_port: int = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """Send one datagram back to its sender."""
        if not self.paused and is_question(addr[1], self.own_port):
            self.transport.sendto(data, addr)

    def pause_writing(self) -> None:
        """Drop echoes from here on."""
        self.paused = True

    def resume_writing(self) -> None:
        """Echo again."""
        self.paused = False


@dataclass
class Echo(Service):
    """Send back whatever comes, over TCP and UDP (RFC 862)."""

    port: ClassVar[int] = 8007

    api: Literal["streams", "protocol"] = field(
        default="protocol",
        metadata={"help": "which of asyncio's two interfaces serves connections"},
    )

    def stream(self) -> StreamHandler | ProtocolFactory:
        """The handler or the protocol, as `api` says."""
        return echo if self.api == "streams" else EchoProtocol

    def datagram(self) -> DatagramFactory:
        """One datagram protocol for each UDP socket."""
        return EchoDatagrams
