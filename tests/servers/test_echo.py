"""Echo over streams, protocol and datagrams, with real peers and with rude ones."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Literal

import pytest

from netkit.servers.echo import READ_SIZE, Echo, EchoDatagrams, EchoProtocol
from netkit.servers.echo import echo as echo_handler
from tests.peers import peer
from tests.servers import answer, asking, bound, listening, output

APIS: list[Literal["streams", "protocol"]] = ["streams", "protocol"]
MEGABYTE = 1024 * 1024


@pytest.fixture(params=APIS)
def echo(request: pytest.FixtureRequest) -> Echo:
    return Echo(api=request.param)


async def test_ncat_gets_back_what_it_sent_before_its_end_of_input(echo: Echo) -> None:
    sent = os.urandom(2 * MEGABYTE)
    async with listening(echo) as port:
        assert await output(peer("ncat"), "127.0.0.1", port, given=sent) == sent


async def test_socat_and_netcat_get_their_lines_back(echo: Echo) -> None:
    async with listening(echo) as port:
        # -t is socat's patience after its own end of input; the server closes long before.
        socat = output(peer("socat"), "-t", 60, "-", f"TCP:127.0.0.1:{port}", given=b"so\n")
        netcat = output(peer("nc"), "-N", "127.0.0.1", port, given=b"nc\n")
        assert list(await asyncio.gather(socat, netcat)) == [b"so\n", b"nc\n"]


async def test_nothing_sent_nothing_echoed(echo: Echo) -> None:
    async with listening(echo) as port:
        assert await output(peer("ncat"), "127.0.0.1", port) == b""


def held(echo: Echo, connections: list[asyncio.Transport]) -> Echo:
    """The same echo, adding each connection's transport to `connections`."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer.transport)  # type: ignore[arg-type]  # of a socket: both ways
        await echo_handler(reader, writer)

    class Held(EchoProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            connections.append(self.transport)

    target = handle if echo.api == "streams" else Held
    echo.stream = lambda: target  # type: ignore[method-assign]  # only to hold what it makes
    return echo


def fill(client: socket.socket) -> int:
    """Send until the kernel takes no more; the bytes sent."""
    sent = 0
    try:
        while True:
            sent += client.send(bytes(64 * 1024))
    except BlockingIOError:
        return sent


async def receive(client: socket.socket, size: int) -> int:
    """Receive `size` bytes, or fewer at the end of input; how many."""
    received = 0
    loop = asyncio.get_running_loop()
    while received < size and (data := await loop.sock_recv(client, 64 * 1024)):
        received += len(data)
    return received


async def test_a_client_that_never_reads_costs_one_write_buffer(echo: Echo) -> None:
    connections: list[asyncio.Transport] = []
    largest_read = READ_SIZE if echo.api == "streams" else 256 * 1024  # asyncio's and uvloop's own
    async with listening(held(echo, connections)) as port:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.setblocking(False)
            sent = 0
            high = READ_SIZE
            while not connections or connections[0].get_write_buffer_size() <= high:
                sent += fill(client)
                await asyncio.sleep(0)  # a turn for the server
            while connections[0].is_reading():  # a stream reader first fills its own buffer
                sent += fill(client)
                await asyncio.sleep(0)  # a turn of the loop
            assert connections[0].get_write_buffer_size() <= high + largest_read

            client.shutdown(socket.SHUT_WR)
            assert await receive(client, sent + 1) == sent


async def test_a_reset_ends_one_connection_only(echo: Echo) -> None:
    async with listening(echo) as port:
        rude = socket.create_connection(("127.0.0.1", port))
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        rude.sendall(b"x")
        rude.close()  # with linger 0 the kernel sends a reset
        assert await output(peer("ncat"), "127.0.0.1", port, given=b"still here") == b"still here"


async def test_datagrams_come_back_whole_and_apart() -> None:
    async with bound(Echo()) as port, asking(port) as (client, inbox):
        sent = [b"one", b"two", os.urandom(8192), b"\0"]
        for datagram in sent:
            client.sendto(datagram)
        assert [await inbox.received.get() for _ in sent] == sent


@pytest.mark.parametrize("program", ["nc", "ncat"])
async def test_netcat_gets_its_datagram_back(program: str) -> None:
    async with bound(Echo()) as port:
        command = (peer(program), "-u", "127.0.0.1", port)
        assert await answer(*command, given=b"hello\n", size=6) == b"hello\n"


async def test_echoes_are_dropped_while_the_socket_is_full() -> None:
    service = Echo()
    protocol = EchoDatagrams()
    service.datagram = lambda: lambda: protocol  # type: ignore[method-assign]  # to hold the protocol
    async with bound(service) as port, asking(port) as (client, inbox):
        protocol.pause_writing()
        own = client.get_extra_info("sockname")
        protocol.datagram_received(b"dropped", own)
        protocol.resume_writing()
        client.sendto(b"echoed")
        assert await inbox.received.get() == b"echoed"
