"""Chargen: a stream of printable characters without end (RFC 864).

Start it, then watch it run::

    netkit serve chargen
    ncat --recv-only 127.0.0.1 8019 | head -n 95

A connection gets lines until it ends its side. The lesson is backpressure in a sender:
one block is written in each turn of the loop, so that one fast reader does not starve
everybody else, and while the peer is slow nothing runs at all.

A datagram is answered with as many characters as it held, 512 at most; with ``--amplify``
always with 512, which lets a forged sender flood a stranger: for closed networks only.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Final, cast

from netkit import Service
from netkit.servers.datagrams import Answering
from netkit.service import DatagramFactory, ProtocolFactory

PRINTABLE: Final = bytes(range(0x20, 0x7F))
LINE: Final = 72
PATTERN: Final = b"".join(
    (PRINTABLE + PRINTABLE)[start : start + LINE] + b"\r\n" for start in range(len(PRINTABLE))
)
"""The classic picture: each line starts one character later, and after 95 it begins anew."""
BLOCK: Final = PATTERN * 8
"""What one write sends: whole pictures, and a little less than the usual 64 KiB buffer."""


class ChargenProtocol(asyncio.Protocol):
    """Writes a block a turn while the peer takes them; ignores what the peer sends."""

    transport: asyncio.Transport

    def __init__(self, readers: set[asyncio.Transport]) -> None:
        self.readers = readers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast("asyncio.Transport", transport)
        self.readers.add(self.transport)
        self.generate()

    def generate(self) -> None:
        """Write one block and come again, unless that write pauses us."""
        if not self.transport.is_closing():
            self.resume_writing()
            self.transport.write(BLOCK)

    def pause_writing(self) -> None:
        """Stop: the peer reads more slowly than we write."""
        self.turn.cancel()

    def resume_writing(self) -> None:
        """Go on in the loop's next turn."""
        self.turn = asyncio.get_running_loop().call_soon(self.generate)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop for good."""
        self.turn.cancel()
        self.readers.discard(self.transport)


def characters(room: int) -> bytes:
    """A datagram's answer: the first `room` characters of the stream."""
    return PATTERN[:room]


@dataclass
class Chargen(Service):
    """Generate characters until the peer has enough, over TCP and UDP (RFC 864)."""

    port: ClassVar[int] = 8019

    amplify: bool = field(
        default=False, metadata={"help": "let a UDP answer be longer than its question"}
    )

    def __post_init__(self) -> None:
        self.readers: set[asyncio.Transport] = set()

    def stream(self) -> ProtocolFactory:
        """One generator for each connection."""
        return partial(ChargenProtocol, self.readers)

    def datagram(self) -> DatagramFactory:
        """One answering protocol for each UDP socket."""
        return partial(Answering, characters, amplify=self.amplify)

    async def drain(self) -> None:
        """End the streams, which would never end by themselves."""
        for transport in self.readers:
            transport.close()
