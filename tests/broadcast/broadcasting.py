"""``netkit serve broadcast`` as a process, and an ear that hears its datagrams."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from netkit.feeds.format import SIZE, Flag, Header, Kind, unpack
from tests.runtime.process import COMMAND, ServerProcess


class Ear:
    """A UDP socket on loopback, as any program might have one."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.to = "{}:{}".format(*sock.getsockname())

    async def hear(self) -> bytes:
        """The next datagram."""
        return await asyncio.get_running_loop().sock_recv(self.sock, 65_536)

    async def header(self) -> tuple[Header, bytes]:
        """The next datagram, taken apart."""
        datagram = await self.hear()
        return unpack(datagram), datagram[SIZE:]

    async def data(self) -> tuple[Header, bytes]:
        """The next one with a payload."""
        while True:
            header, payload = await self.header()
            if header.kind is Kind.DATA:
                return header, payload

    async def to_the_end(self) -> list[bytes]:
        """All payloads until the feed ends, which has to be in order and complete."""
        payloads: list[bytes] = []
        while True:
            header, payload = await self.header()
            if header.kind is Kind.DATA:
                payloads.append(payload)
                assert header.sequence == len(payloads)
            elif header.flags & Flag.END:
                assert header.sequence == len(payloads)
                return payloads


@contextmanager
def listening() -> Iterator[Ear]:
    """An ear, for the length of the block."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        yield Ear(sock)


@asynccontextmanager
async def broadcasting(
    *arguments: object, loop: str, stdin: bytes | None = None, held: bool = False
) -> AsyncIterator[ServerProcess]:
    """Run it until the block's end; `stdin` is what it gets there.

    `held`: that has no end before `let_end`, so that however slow this machine is, it does not
    take listeners that are held up for ones that miss nothing.
    """
    words = [*COMMAND, "serve", "broadcast", *map(str, arguments), "--loop", loop]
    process = await asyncio.create_subprocess_exec(
        *words, stdin=DEVNULL if stdin is None else PIPE, stderr=PIPE, limit=1_048_576
    )
    server = ServerProcess(process)
    if stdin is not None:
        assert process.stdin is not None
        process.stdin.write(stdin)
        if not held:
            process.stdin.close()
    try:
        yield server
    finally:
        server.signal(signal.SIGKILL)
        await server.ended()


def let_end(broadcaster: ServerProcess) -> None:
    """End its standard input."""
    assert broadcaster.process.stdin is not None
    broadcaster.process.stdin.close()


def recorded(times: list[str], payloads: list[str]) -> str:
    """A recording with these times and payloads."""
    return "".join(
        json.dumps({"time": time, "payload": payload}) + "\n"
        for time, payload in zip(times, payloads, strict=True)
    )
