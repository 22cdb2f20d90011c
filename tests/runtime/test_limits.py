"""What a peer can make grow, and how far: each limit against a server process."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from tests.runtime.process import LOOPS, serving
from tests.runtime.talkers import Talker

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),
    pytest.mark.parametrize("loop", LOOPS),
]

ON_TCP = ("--bind", "tcp://127.0.0.1:0")

COUNTING = """
import asyncio

served = 0


async def handle(reader, writer):
    "Say how many are served, then echo lines."
    global served
    served += 1
    try:
        writer.write(b"%d\\n" % served)
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
    finally:
        served -= 1


class Protocol(asyncio.Protocol):
    "The same as a protocol."

    def connection_made(self, transport):
        global served
        served += 1
        self.transport = transport
        transport.write(b"%d\\n" % served)

    def data_received(self, data):
        self.transport.write(data)

    def connection_lost(self, error):
        global served
        served -= 1


class Careless(asyncio.Protocol):
    "Writes without listening to pause_writing."

    def connection_made(self, transport):
        self.transport = transport
        self.turn = asyncio.get_running_loop().call_soon(self.write)

    def write(self):
        self.transport.write(bytes(65536))
        self.turn = asyncio.get_running_loop().call_later(0.001, self.write)

    def connection_lost(self, error):
        self.turn.cancel()
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app.py"
    path.write_text(COUNTING)
    return path


@pytest.mark.parametrize("kind", ["handle", "Protocol"])
async def test_no_more_are_served_at_once_than_the_limit(loop: str, kind: str, app: Path) -> None:
    limit, burst = 5, 100
    options = (*ON_TCP, "--limit-connections", limit)
    async with (
        serving(f"{app}:{kind}", *options, loop=loop) as server,
        AsyncExitStack() as stack,
    ):
        talkers = [await Talker.connect(server.ports[0]) for _ in range(burst)]
        for each in talkers:
            stack.callback(each.sock.close)

        async def converse(number: int, talker: Talker) -> int:
            # Sent before it is known whether there is room: it must not be lost.
            await talker.write(b"line %d\n" % number)
            received = b""
            while received.count(b"\n") < 2:
                data = await talker.read()
                assert data, f"ended after {received!r}"
                received += data
            served, line = received.splitlines()
            assert line == b"line %d" % number
            talker.sock.close()
            return int(served)

        pairs = enumerate(talkers)
        counts = await asyncio.gather(*(converse(number, each) for number, each in pairs))
        assert len(counts) == burst
        assert max(counts) <= limit
        assert await server.stop() == -signal.SIGTERM
        assert not server.complaints()


async def test_one_who_waits_is_served_when_another_leaves(loop: str, app: Path) -> None:
    async with (
        serving(f"{app}:handle", *ON_TCP, "--limit-connections", 1, loop=loop) as server,
        AsyncExitStack() as stack,
    ):
        first, second = [await Talker.connect(server.ports[0]) for _ in range(2)]
        stack.callback(first.sock.close)
        stack.callback(second.sock.close)
        assert await first.read() == b"1\n"
        await second.write(b"early\n")
        reading = asyncio.create_task(second.read())
        await first.write(b"still alone\n")
        assert await first.read() == b"still alone\n"
        assert not reading.done()
        first.sock.close()
        received = await reading
        while not received.endswith(b"early\n"):
            received += await second.read()
        assert received == b"1\nearly\n"
        second.sock.close()
        assert await server.stop() == -signal.SIGTERM


async def test_one_address_has_so_many_connections(loop: str) -> None:
    limits = ("--limit-per-address", 3, "--limit-loopback")
    async with (
        serving("echo", *ON_TCP, *limits, loop=loop) as server,
        AsyncExitStack() as stack,
    ):
        talkers = []
        for _ in range(3):
            talker = await Talker.connect(server.ports[0])
            stack.callback(talker.sock.close)
            await talker.write(b"here\n")
            assert await talker.read() == b"here\n"
            talkers.append(talker)
        fourth = await Talker.connect(server.ports[0])
        stack.callback(fourth.sock.close)
        assert await fourth.read() == b""
        await server.logged("refused: too many from its address (--limit-per-address)")
        talkers[0].sock.close()
        await server.logged("closed by peer")
        fifth = await Talker.connect(server.ports[0])
        stack.callback(fifth.sock.close)
        await fifth.write(b"room again\n")
        assert await fifth.read() == b"room again\n"


async def test_one_network_has_so_many_connections(loop: str) -> None:
    limits = ("--limit-per-prefix", 3, "--limit-prefix-ipv4", 8, "--limit-loopback")
    async with (
        serving("echo", *ON_TCP, *limits, loop=loop) as server,
        AsyncExitStack() as stack,
    ):
        answers = []
        for number in range(1, 6):
            sock = socket.socket()
            stack.callback(sock.close)
            sock.setblocking(False)
            sock.bind((f"127.0.7.{number}", 0))
            address = ("127.0.0.1", server.ports[0])
            await asyncio.get_running_loop().sock_connect(sock, address)
            talker = Talker(sock)
            await talker.write(b"here\n")
            try:
                answers.append(await talker.read())
            except ConnectionResetError:  # what it wrote was never read
                answers.append(b"")
        assert answers == [b"here\n"] * 3 + [b""] * 2
        await server.logged("refused: too many from its network (--limit-per-prefix)", 2)


async def test_beyond_the_rate_newcomers_wait(loop: str, app: Path) -> None:
    limits = ("--limit-rate", 1 / 3600)
    async with (
        serving(f"{app}:handle", *ON_TCP, *limits, loop=loop) as server,
        AsyncExitStack() as stack,
    ):
        talkers = [await Talker.connect(server.ports[0]) for _ in range(100)]
        for each in talkers:
            stack.callback(each.sock.close)
        reading = {asyncio.create_task(each.read()): each for each in talkers}
        (first,), waiting = await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
        assert first.result() == b"1\n"
        for _ in range(50):
            await reading[first].write(b"still alone\n")
            assert await reading[first].read() == b"still alone\n"
        assert not any(task.done() for task in waiting)
        assert await server.stop() == -signal.SIGTERM
        await asyncio.gather(*waiting, return_exceptions=True)  # none is left hanging
        assert not server.complaints()


async def test_silence_ends_a_connection(loop: str) -> None:
    async with serving("echo", *ON_TCP, "--limit-idle", 0.5, loop=loop) as server:
        talker = await Talker.connect(server.ports[0])
        await talker.write(b"last words\n")
        assert await talker.read() == b"last words\n"
        assert await talker.read() == b""
        talker.sock.close()
        await server.logged("idle for 0.5 s (--limit-idle)")


async def test_a_byte_now_and_then_does_not_keep_a_connection_for_ever(loop: str) -> None:
    options = (*ON_TCP, "--limit-idle", 0.5, "--limit-lifetime", 1)
    async with serving("echo", *options, loop=loop) as server:
        talker = await Talker.connect(server.ports[0])
        with suppress(ConnectionError):  # cut while it sends
            while True:
                await talker.write(b"x")
                if not await talker.read():
                    break
        talker.sock.close()
        await server.logged("older than 1 s (--limit-lifetime)")


@pytest.mark.parametrize("api", ["streams", "protocol"])
async def test_silence_ends_a_unix_connection_too(loop: str, api: str, tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    words = ("echo", "--api", api, "--bind", f"unix:{path}", "--limit-idle", 0.5)
    async with serving(*words, loop=loop) as server:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"last words\n")
        assert await reader.read() == b"last words\n"
        writer.close()
        await writer.wait_closed()
        (line,) = await server.logged("idle for 0.5 s (--limit-idle)")
        assert f"unix(pid={os.getpid()},uid={os.getuid()})" in line
        assert " 11 B in: " in line


async def test_a_server_that_ignores_backpressure_is_held_to_its_buffer(
    loop: str, app: Path
) -> None:
    limits = ("--limit-write-buffer", 1_000_000)
    async with serving(f"{app}:Careless", *ON_TCP, *limits, loop=loop) as server:
        talker = await Talker.connect(server.ports[0])
        await server.logged("more than 1000000 bytes unread by the peer (--limit-write-buffer)")
        talker.sock.close()


async def test_a_handshake_that_does_not_come_is_given_up(loop: str) -> None:
    limits = ("--tls", "--limit-handshake", 0.5)
    async with serving("echo", "--bind", "tls://127.0.0.1:0", *limits, loop=loop) as server:
        talker = await Talker.connect(server.ports[0])
        assert await talker.read() == b""
        talker.sock.close()
        (line,) = await server.logged("TLS handshake failed")
        assert "0.5" in line or "in time" in line


async def test_a_waiting_handshake_does_not_hold_up_others(
    loop: str, own_certificates: Path
) -> None:
    async with serving("echo", "--bind", "tls://127.0.0.1:0", "--tls", loop=loop) as server:
        silent = await Talker.connect(server.ports[0])
        context = ssl.create_default_context(cafile=own_certificates / "ca.pem")
        reader, writer = await asyncio.open_connection("localhost", server.ports[0], ssl=context)
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        writer.close()
        await writer.wait_closed()
        silent.sock.close()


async def test_a_line_too_long_for_the_handler_ends_its_connection(loop: str, app: Path) -> None:
    async with serving(f"{app}:handle", *ON_TCP, "--limit-line", 1000, loop=loop) as server:
        talker = await Talker.connect(server.ports[0])
        assert await talker.read() == b"1\n"
        await talker.write(b"x" * 3000)
        await server.logged("line longer than 1000 bytes (--limit-line)")
        talker.sock.close()
        assert await server.stop() == -signal.SIGTERM
        assert not server.complaints()
