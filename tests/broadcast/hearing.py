"""``netkit listen`` as a process, and a sender of datagrams made by the test."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from netkit.feeds.format import Flag, Header, Kind, unpack
from tests.forked import Forked
from tests.runtime.process import COMMAND, ServerProcess

GROUP = "239.255.77.7"
LOOPBACK = "127.0.0.1"
PLAIN = Flag(0)


class Listening(ServerProcess):
    """A listener that runs; `lines` is what it has said on standard error."""

    @property
    def port(self) -> int:
        """Of the first address that it listens on."""
        if self.lines[0].startswith("{"):
            return int(json.loads(self.lines[0])["listening"][0].rpartition(":")[2])
        return self.ports[0]

    async def line(self) -> bytes:
        """The next line of its output."""
        assert self.process.stdout is not None
        return await self.process.stdout.readline()

    async def output(self) -> bytes:
        """All that is left of its output, to its end."""
        return await self.process.stdout.read() if self.process.stdout else b""

    async def objects(self) -> list[Any]:
        """The same, as JSON lines."""
        return [json.loads(line) for line in (await self.output()).splitlines()]

    @property
    def summary(self) -> str:
        """Its last line."""
        return self.lines[-1]

    @property
    def figures(self) -> Any:
        """The same, as ``--stats-json`` has it."""
        return json.loads(self.lines[-1])


@asynccontextmanager
async def hearing(
    *arguments: object, loop: str, until: str = "listening", stdout: int = PIPE
) -> AsyncIterator[Listening]:
    """Run it until the block's end, from when it has said that it listens."""
    words = ["listen", *map(str, arguments), "--loop", loop]
    process: Process | Forked
    if stdout == PIPE:
        process = await Forked.start(words, stdout=True)
    else:
        process = await asyncio.create_subprocess_exec(
            *COMMAND, *words, stdin=DEVNULL, stdout=stdout, stderr=PIPE
        )
    listener = Listening(process)
    try:
        await listener.logged(until)
        yield listener
    finally:
        listener.signal(signal.SIGKILL)
        # Together: a pipe that nobody empties would hold up the news of the end.
        await asyncio.gather(listener.ended(), listener.output())


def free_port() -> int:
    """One that nobody has now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


class Sender:
    """A feed sent by hand from a socket on loopback."""

    def __init__(self, sock: socket.socket, to: tuple[str, int], number: int) -> None:
        self.sock = sock
        self.to = to
        self.number = number
        self.epoch = int(time.time())

    @property
    def name(self) -> str:
        """Its own address."""
        return "{}:{}".format(*self.sock.getsockname())

    def packed(
        self,
        kind: Kind,
        sequence: int,
        payload: bytes = b"",
        window: int = 0,
        flags: Flag = PLAIN,
    ) -> bytes:
        """A datagram of its feed."""
        now = time.time_ns()
        header = Header(kind, self.number, self.epoch, sequence, now, window, flags)
        return header.pack() + payload

    def data(self, sequence: int, payload: bytes = b"", window: int = 0) -> bytes:
        """Send this one."""
        return self.send(self.packed(Kind.DATA, sequence, payload, window))

    def end(self, last: int, window: int = 0) -> None:
        """Say that this was the last."""
        self.send(self.packed(Kind.HEARTBEAT, last, b"", window, Flag.END))

    def send(self, datagram: bytes) -> bytes:
        """Send what may be anything."""
        self.sock.sendto(datagram, self.to)
        return datagram

    async def hear(self) -> tuple[Header, bytes, Any]:
        """The next datagram that comes to it, and from where."""
        loop = asyncio.get_running_loop()
        datagram, source = await loop.sock_recvfrom(self.sock, 65_536)
        return unpack(datagram), datagram, source


@contextmanager
def sending(
    port: int, host: str = LOOPBACK, own: str = LOOPBACK, number: int = 0x1A2B3C4D
) -> Iterator[Sender]:
    """A sender to this address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(LOOPBACK))
        sock.bind((own, 0))
        sock.setblocking(False)
        yield Sender(sock, (host, port), number)
