"""Datagrams by Python: ``python -m benchmarks.peers.datagrams send|receive WAY PORT [SIZE]``.

``netkit`` is what `netkit listen` and `netkit serve broadcast` run: headers, numbers and statistics
included; ``forgetful`` keeps nothing for repair, and ``drain`` reads without UDP_GRO. All until
killed.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time

from benchmarks.peers.loops import LOOPS

from netkit.addresses import Address
from netkit.clients.listen.common import Common
from netkit.clients.listen.feeds import Feeds
from netkit.clients.listen.hearing import Hearing
from netkit.feeds.format import SIZE
from netkit.feeds.reader import Reader
from netkit.feeds.resolving import Where
from netkit.feeds.sockets import receiving, sending
from netkit.servers.broadcast.routes import Route
from netkit.servers.broadcast.sender import Sender
from netkit.servers.broadcast.transmitter import Transmitter
from netkit.servers.broadcast.window import Window

HOST = "127.0.0.1"
READY = 1024
"""Payloads that a fast source has ready at a time."""


async def send_feed(port: int, size: int, *, window: bool) -> None:
    """Numbered, with headers, many in one call; all equal, as from a source that is never short."""
    loop = asyncio.get_running_loop()
    kept = Window(65_536) if window else None
    sender = Sender(1, int(time.time()), loop.time(), window=kept)
    transmitter = Transmitter(sender, None)
    route = Route(sending(Address("udp", HOST, port)), transmitter.received)
    await route.open()
    transmitter.ways.append(route)
    payloads = [bytes(size - SIZE)] * READY
    while True:
        await transmitter.send(payloads)
        await asyncio.sleep(0)  # a turn of the loop


async def receive_feed(port: int, *, offload: bool) -> None:
    """In order, counted and measured; delivered to nobody."""
    hearing = Hearing(Feeds(Common(random.Random(), repair=False)))

    def on_run(view: memoryview, size: int, source: Where) -> None:
        hearing.hear_run(view, size, source, send_nothing)

    def on_error(error: OSError) -> None:
        raise error

    sock = receiving(Address("udp", HOST, port)).sock
    reader = Reader(sock, on_run, on_error, offload=offload)
    await asyncio.get_running_loop().create_future()
    reader.close()


def send_nothing(datagram: bytes, address: object) -> None:
    """Nobody is asked."""


def main() -> None:
    """Send or receive as the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["send", "receive"])
    parser.add_argument("way", choices=["netkit", "forgetful", "drain"])
    parser.add_argument("port", type=int)
    parser.add_argument("size", type=int, nargs="?", default=64)
    parser.add_argument("--loop", choices=LOOPS, default="asyncio")
    asked = parser.parse_args()
    if asked.what == "send":
        work = send_feed(asked.port, asked.size, window=asked.way == "netkit")
    else:
        work = receive_feed(asked.port, offload=asked.way != "drain")
    with asyncio.Runner(loop_factory=LOOPS[asked.loop]) as runner:
        runner.run(work)


if __name__ == "__main__":
    main()
