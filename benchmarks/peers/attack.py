"""Attackers that hold connections and do next to nothing with them.

``python -m benchmarks.peers.attack --kind half-open --port 8007 --count 1000``

Whoever is cut off comes again, so that their number stays. A line of JSON when all of
them are there, another at the end of stdin: how many were cut off, and after how long.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import uvloop

CONTEXT = ssl.create_default_context()
CONTEXT.check_hostname, CONTEXT.verify_mode = False, ssl.CERT_NONE

Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def client_hello() -> bytes:
    """The first message of a TLS handshake, some 500 bytes."""
    outgoing = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        CONTEXT.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


HELLO = client_hello()


async def silent(_: asyncio.StreamWriter) -> None:
    """Connect, and send nothing."""


async def half_a_hello(writer: asyncio.StreamWriter) -> None:
    """Begin a handshake, and never finish it."""
    writer.write(HELLO[: len(HELLO) // 2])


async def hello_by_bytes(writer: asyncio.StreamWriter) -> None:
    """Begin a handshake at a byte a second."""
    for each in HELLO:
        writer.write(bytes([each]))
        await asyncio.sleep(1)  # the pace of the attack


async def bytes_for_ever(writer: asyncio.StreamWriter) -> None:
    """Send a byte a second."""
    while True:
        writer.write(b"x")
        await asyncio.sleep(1)  # the pace of the attack


KINDS: dict[str, tuple[list[Callable[[asyncio.StreamWriter], Awaitable[None]]], bool]] = {
    "half-open": ([silent, half_a_hello], False),
    "hello": ([hello_by_bytes], False),
    "bytes": ([bytes_for_ever], False),
    "tls-bytes": ([bytes_for_ever], True),
}


class Attack:
    """All attackers of one kind."""

    def __init__(self, port: int, kind: str, count: int, ramp: float) -> None:
        self._port = port
        self._ways, self._tls = KINDS[kind]
        self._count, self._ramp = count, ramp
        self._connected = 0
        self.all_there = asyncio.Event()
        self.lived: list[float] = []

    async def attacker(self, number: int) -> None:
        """Come, be cut off, come again; each a bit later than the one before it."""
        await asyncio.sleep(number * self._ramp / self._count)  # the pace of coming
        way = self._ways[number % len(self._ways)]
        context = CONTEXT if self._tls else None
        while True:
            began = time.monotonic()
            peer = await asyncio.open_connection("127.0.0.1", self._port, ssl=context)
            self._connected += 1
            if self._connected == self._count:
                self.all_there.set()
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(quietly(way(peer[1])))
                await ended(peer)
                sending.cancel()
            self.lived.append(time.monotonic() - began)


async def quietly(sending: Awaitable[None]) -> None:
    """Send, until the server has had enough."""
    with suppress(ConnectionError):
        await sending


async def ended(peer: Peer) -> None:
    """Wait until the server ends a connection."""
    reader, writer = peer
    with suppress(ConnectionError, ssl.SSLError):
        while await reader.read(4096):
            pass
    writer.transport.abort()


async def main() -> None:
    """Attack until stdin ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--ramp", type=float, default=2.0, help="seconds until all are there")
    got = parser.parse_args()
    attack = Attack(got.port, got.kind, got.count, got.ramp)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(attack.attacker(number)) for number in range(got.count)]
        await attack.all_there.wait()
        print(json.dumps({"open": got.count}), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for task in tasks:
            task.cancel()
    print(json.dumps({"lived": attack.lived}), flush=True)


if __name__ == "__main__":
    os.nice(10)  # well-behaved clients, on the same core, go first
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
