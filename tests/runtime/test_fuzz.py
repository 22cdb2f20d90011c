"""Random bytes, half-open ends and resets on every port of every built-in server.

``NETKIT_FUZZ=5000`` sets the connections to each port; the seeds are fixed.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.runtime.process import LOOPS, ServerProcess, serving
from tests.runtime.talkers import SecureTalker, Talker

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio"])

COUNT = int(os.environ.get("NETKIT_FUZZ", "300"))
AT_ONCE = 32
WARM_UP = 100
"""Connections to each port before memory is measured: buffers and arenas of many at once."""
GROWTH = 64 * 2**20
"""Bytes of memory that a server may keep. 5,000 connections on each port left 41 MB at most and
15,000 left 47 MB: what the allocator keeps, for the number of objects does not grow."""

SERVERS = {
    "echo-streams": (("echo", "--api", "streams"), b"hello\n"),
    "echo-protocol": (("echo", "--api", "protocol"), b"hello\n"),
    "discard": (("discard",), b""),
    "chargen": (("chargen",), b' !"#'),
    "daytime": (("daytime",), b"20"),
    "time": (("time",), b""),
    "qotd": (("qotd",), b""),
    "chat": (("chat",), b""),
}
"""Each with the beginning of its answer to ``hello``."""


@pytest.mark.timeout(120 + COUNT // 5)
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("name", SERVERS)
async def test_random_bytes_leave_nothing_behind(
    name: str, loop: str, own_certificates: Path, record_property: Callable[[str, object], None]
) -> None:
    arguments, answer = SERVERS[name]
    binds = ("--bind", "tcp://127.0.0.1:0", "--bind", "tls://127.0.0.1:0", "--tls")
    async with serving(*arguments, *binds, "--timeout-graceful-shutdown", 5, loop=loop) as server:
        context = ssl.create_default_context(cafile=own_certificates / "ca.pem")
        await behave(server, context, answer)
        await server.logged(" B out", 2)  # the lines of both, so they have ended
        descriptors = server.descriptors()
        chance = random.Random(f"{name} {loop}")
        plain, secure = plain_ways(server.ports[0]), secure_ways(server.ports[1], context)
        for ways in (plain, secure):
            await misbehave(chance, ways, WARM_UP)
        resident = server.resident()
        for ways in (plain, secure):
            await misbehave(chance, ways, COUNT)
        while server.descriptors() > descriptors:
            await behave(server, context, answer)
        growth = server.resident() - resident
        record_property("growth", growth)
        status = await server.stop()
        assert growth < GROWTH
        assert status == -signal.SIGTERM
        if complaints := server.complaints(" error: ", " warning: "):
            pytest.fail("\n".join(complaints), pytrace=False)


Way = Callable[[random.Random], Awaitable[None]]
End = Callable[[socket.socket], Awaitable[None] | None]


async def misbehave(chance: random.Random, ways: list[Way], count: int) -> None:
    """Make so many connections, some at a time; each has random numbers of its own."""
    seeds = iter([chance.random() for _ in range(count)])

    async def some() -> None:
        for seed in seeds:
            own = random.Random(seed)
            await own.choice(ways)(own)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(some())


def plain_ways(port: int) -> list[Way]:
    """What a client can do wrong on any port."""

    async def close(chance: random.Random) -> None:
        await connect_and_end(port, garbage(chance), lambda sock: None)

    async def half_close(chance: random.Random) -> None:
        await connect_and_end(port, garbage(chance), read_to_the_end)

    async def reset(chance: random.Random) -> None:
        await connect_and_end(port, garbage(chance), reset_at_close)

    return [close, half_close, reset]


def secure_ways(port: int, context: ssl.SSLContext) -> list[Way]:
    """The same, and what one can do wrong with TLS: stop in the middle, or talk nonsense inside."""

    async def partial_hello(chance: random.Random) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        hello = outgoing.read()
        ends: list[End] = [lambda sock: None, read_to_the_end, reset_at_close]
        end = chance.choice(ends)
        await connect_and_end(port, hello[: chance.randrange(len(hello))], end)

    async def damaged_hello(chance: random.Random) -> None:
        record = b"\x16\x03\x01" + garbage(chance)
        await connect_and_end(port, record, read_to_the_end)

    async def nonsense_inside(chance: random.Random) -> None:
        talker = await SecureTalker.connect(port)
        try:
            await talker.secure(context)
            await talker.write(garbage(chance))
            if chance.random() < 0.5:
                reset_at_close(talker.sock)
        except ConnectionError:
            pass
        finally:
            talker.sock.close()

    async def damaged_record(chance: random.Random) -> None:
        talker = await SecureTalker.connect(port)
        try:
            await talker.secure(context)
            await Talker.write(talker, b"\x17\x03\x03\x00\x20" + garbage(chance))
            await read_to_the_end(talker.sock)
        except ConnectionError:
            pass
        finally:
            talker.sock.close()

    return [*plain_ways(port), partial_hello, damaged_hello, nonsense_inside, damaged_record]


def garbage(chance: random.Random) -> bytes:
    """Random bytes: seldom none, mostly few, sometimes more than a read."""
    size = chance.choice([0, 1, 5, 64, 500, 4_000, 100_000])
    data = chance.randbytes(chance.randint(size // 2, size))
    return data if chance.random() < 0.5 else data.replace(b"\xaa", b"\n").replace(b"a", b"\n/")


async def connect_and_end(port: int, data: bytes, end: End) -> None:
    """Connect, send and end it so; what the server does about it is its own affair."""
    talker = await Talker.connect(port)
    try:
        sending = asyncio.create_task(talker.write(data))
        if end is read_to_the_end:
            reading = asyncio.create_task(read_on(talker.sock))
            await asyncio.wait([sending])
            await read_to_the_end(talker.sock, reading)
        else:
            await asyncio.wait([sending], timeout=0.2)
            sending.cancel()
            await asyncio.wait([sending])
            end(talker.sock)
        if not sending.cancelled():
            sending.exception()
    finally:
        talker.sock.close()


async def read_on(sock: socket.socket) -> None:
    """Read and forget, until the end or a reset."""
    loop = asyncio.get_running_loop()
    try:
        while await loop.sock_recv(sock, 65_536):
            pass
    except ConnectionError:
        return


async def read_to_the_end(sock: socket.socket, reading: asyncio.Task[None] | None = None) -> None:
    """Half-close, and read on until the server ends too."""
    with suppress(OSError):  # reset already
        sock.shutdown(socket.SHUT_WR)
    await (reading or read_on(sock))


def reset_at_close(sock: socket.socket) -> None:
    """Let close(2) send a reset (SO_LINGER with 0 seconds, socket(7))."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def behave(server: ServerProcess, context: ssl.SSLContext, answer: bytes) -> None:
    """Be well served on both ports."""
    plain = await Talker.connect(server.ports[0])
    secure = await SecureTalker.connect(server.ports[1])
    try:
        await secure.secure(context)
        await plain.write(b"hello\n")
        plain.sock.shutdown(socket.SHUT_WR)
        received = b""
        while data := await plain.read():
            received += data
        assert received.startswith(answer)
    finally:
        plain.sock.close()
        secure.sock.close()
