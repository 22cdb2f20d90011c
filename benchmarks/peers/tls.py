"""Plain TLS servers, and the same protocols and handlers for netkit.

``python -m benchmarks.peers.tls --loop uvloop --serve Sink --cert FILE --key FILE``
serves one of the protocols; ``netkit serve benchmarks/peers/tls.py:sink --tls`` any of them.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
from typing import cast

from benchmarks.peers.loops import LOOPS
from benchmarks.peers.protocol import Echo
from benchmarks.peers.streams import handle as echo

__all__ = ["Echo", "Sink", "Source", "echo", "sink", "source"]

MIB = 1024 * 1024
MESSAGE = bytes(position % 251 for position in range(64 * 1024))


class Sink(asyncio.Protocol):
    """Answer each MiB with one byte, its last."""

    heard = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Count."""
        self.heard += len(data)
        if self.heard >= MIB:
            self.heard -= MIB
            self.transport.write(last(data, self.heard))


class Source(asyncio.Protocol):
    """Send messages without end, from the first byte that comes in."""

    begun = paused = over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast(asyncio.Transport, transport)
        self.loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        """Begin."""
        if not self.begun:
            self.begun = True
            self.more()

    def more(self) -> None:
        """Send one message; the next has another turn of the loop, so that others have theirs."""
        if not self.paused and not self.over:
            self.transport.write(MESSAGE)
            self.loop.call_soon(self.more)

    def pause_writing(self) -> None:
        """Wait: the peer takes less than is sent."""
        self.paused = True

    def resume_writing(self) -> None:
        """Go on."""
        self.paused = False
        self.more()

    def eof_received(self) -> None:
        """The peer is leaving."""
        self.over = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more."""
        self.over = True


async def sink(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """`Sink` as a handler."""
    heard = 0
    while data := await reader.read(65536):
        heard += len(data)
        if heard >= MIB:
            heard -= MIB
            writer.write(last(data, heard))
            await writer.drain()
    writer.close()


async def source(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """`Source` as a handler."""
    await reader.read(1)
    while not reader.at_eof():
        writer.write(MESSAGE)
        await writer.drain()
        await asyncio.sleep(0)  # drain() lets nobody else run while there is room
    writer.close()


def last(data: bytes, beyond: int) -> bytes:
    """The byte of `data` that has `beyond` bytes behind it."""
    at = len(data) - beyond - 1
    return data[at : at + 1]


async def main(protocol: type[asyncio.Protocol], cert: str, key: str) -> None:
    """Serve until killed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=context)
    print("tls://{}:{}".format(*server.sockets[0].getsockname()), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--loop", choices=LOOPS, default="asyncio")
    parser.add_argument("--serve", choices=["Echo", "Sink", "Source"], default="Echo")
    parser.add_argument("--cert", required=True)
    parser.add_argument("--key", required=True)
    asked = parser.parse_args()
    with asyncio.Runner(loop_factory=LOOPS[asked.loop]) as runner:
        runner.run(main(globals()[asked.serve], asked.cert, asked.key))
