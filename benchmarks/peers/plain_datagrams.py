"""``python -m benchmarks.peers.plain_datagrams send|receive PORT [SIZE]``: as everybody writes it.

A program of its own, with nothing of netkit's in it: what else a process imports decides whether
the 256 KiB that both loops get for each datagram come from the kernel each time (decision 0014).
"""

from __future__ import annotations

import argparse
import asyncio
import socket

from benchmarks.peers.loops import LOOPS

HOST = "127.0.0.1"
TURN = 64
"""Calls in one turn of the loop."""


class Counting(asyncio.DatagramProtocol):
    """Counts what comes."""

    count = 0

    def datagram_received(self, data: bytes, addr: object) -> None:
        """See `asyncio.DatagramProtocol`."""
        self.count += 1


async def send(port: int, size: int) -> None:
    """One call for each datagram."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=(HOST, port)
    )
    data = bytes(size)
    while True:
        for _ in range(TURN):
            transport.sendto(data)
        await asyncio.sleep(0)  # a turn of the loop


async def receive(port: int) -> None:
    """One call of `datagram_received` for each datagram."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)  # as all receivers here
    sock.bind((HOST, port))
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(Counting, sock=sock)
    await loop.create_future()


def main() -> None:
    """Send or receive as the command line says, until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["send", "receive"])
    parser.add_argument("port", type=int)
    parser.add_argument("size", type=int, nargs="?", default=64)
    parser.add_argument("--loop", choices=LOOPS, default="asyncio")
    asked = parser.parse_args()
    work = send(asked.port, asked.size) if asked.what == "send" else receive(asked.port)
    with asyncio.Runner(loop_factory=LOOPS[asked.loop]) as runner:
        runner.run(work)


if __name__ == "__main__":
    main()
