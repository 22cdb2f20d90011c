"""The real peer is what handlers, limits and the log see: real sockets, in this process."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from netkit import TLS, Limits, Server
from netkit.loops import is_uvloop
from netkit.proxied import Proxied
from tests.proxy import encoder
from tests.proxy.encoder import BLOCK, LINE, LOCAL
from tests.proxy.served import (
    TARGETS,
    Tell,
    behind,
    connect,
    end,
    ended,
    hear,
    lines,
    port,
    rest,
)

REAL = b"('203.0.113.9', 5000) ('198.51.100.1', 443) PROXY\n"
HEADERS = {"v1": LINE, "v2": BLOCK, "v2 with checksum": encoder.with_checksum(BLOCK)}


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("target", TARGETS)
async def test_the_real_peer(target: object, header: str, caplog: pytest.LogCaptureFixture) -> None:
    hear(caplog)
    async with behind("127.0.0.0/8", target=target) as server:
        sock = await connect(server, HEADERS[header] + b"more than sixteen bytes at once\n")
        end(sock)
        assert await rest(sock) == REAL + b"more than sixteen bytes at once\n"
        (line,) = await ended(server, caplog)
        assert line.startswith("203.0.113.9:5000 > tcp://127.0.0.1:")
        assert line.endswith(": closed by peer")


@pytest.mark.parametrize("header", [LINE, BLOCK])
async def test_a_header_in_single_bytes(header: bytes) -> None:
    loop = asyncio.get_running_loop()
    async with behind("127.0.0.1") as server:
        sock = await connect(server)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in header:
            await loop.sock_sendall(sock, bytes([byte]))
        assert await loop.sock_recv(sock, 100) == REAL
        await loop.sock_sendall(sock, b"hello\n")
        end(sock)
        assert await rest(sock) == b"hello\n"


async def test_a_server_that_speaks_first_waits_for_the_header() -> None:
    loop = asyncio.get_running_loop()
    async with behind("127.0.0.1") as server:
        sock = await connect(server, LINE[:-1])
        reading = loop.create_task(loop.sock_recv(sock, 100))
        await arrived(server)
        assert not reading.done()
        await loop.sock_sendall(sock, LINE[-1:])
        assert await reading == REAL
        end(sock)
        assert await rest(sock) == b""


async def arrived(server: Any) -> None:
    """Let the loop turn until the server has a connection."""
    while not server.connections.open:
        await asyncio.sleep(0)


async def test_ipv6(caplog: pytest.LogCaptureFixture) -> None:
    hear(caplog)
    header = encoder.line(("2001:db8::9", 5000), ("2001:db8::1", 443))
    async with behind("127.0.0.1") as server:
        sock = await connect(server, header)
        end(sock)
        assert await rest(sock) == (
            b"('2001:db8::9', 5000, 0, 0) ('2001:db8::1', 443, 0, 0) PROXY\n"
        )
        (line,) = await ended(server, caplog)
        assert line.startswith("[2001:db8::9]:5000 > ")


UNSAID = {
    "UNKNOWN": b"PROXY UNKNOWN\r\n",
    "UNSPEC": encoder.block(b"", family="UNSPEC", transport="UNSPEC"),
    "LOCAL": LOCAL,
}


@pytest.mark.parametrize("header", UNSAID)
async def test_a_proxy_that_names_nobody_is_the_peer_itself(
    header: str, caplog: pytest.LogCaptureFixture
) -> None:
    hear(caplog)
    async with behind("127.0.0.1") as server:
        sock = await connect(server, UNSAID[header] + b"hello\n")
        own = sock.getsockname()
        end(sock)
        command = "LOCAL" if header == "LOCAL" else "PROXY"
        expected = f"{own} ('127.0.0.1', {port(server)}) {command}\nhello\n"
        assert await rest(sock) == expected.encode()
        (line,) = await ended(server, caplog)
        assert line.startswith(f"127.0.0.1:{own[1]} > ")


async def test_the_header_of_a_stranger_is_just_bytes() -> None:
    async with behind("127.0.0.2", "10.0.0.0/8") as server:
        stranger = await connect(server, LINE)
        proxy = await connect(server, LINE, source="127.0.0.2")
        own = stranger.getsockname()
        end(stranger)
        end(proxy)
        expected = f"{own} ('127.0.0.1', {port(server)}) None\n".encode()
        assert await rest(stranger) == expected + LINE
        assert await rest(proxy) == REAL


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "no PROXY header: it begins with b'GET / HTTP/1'"),
        (BLOCK[:20], "ended before its PROXY header was complete"),
        (b"", "ended before its PROXY header was complete"),
        (encoder.with_checksum(BLOCK)[:-1] + b"\0", "PROXY header damaged"),
    ],
)
async def test_a_proxy_without_a_header_is_closed(
    tls: bool, data: bytes, why: str, caplog: pytest.LogCaptureFixture, own_certificates: Path
) -> None:
    hear(caplog)
    bind = f"{'tls' if tls else 'tcp'}://127.0.0.1:0"
    async with behind("127.0.0.1", bind=bind) as server:
        sock = await connect(server, data)
        own = sock.getsockname()
        await arrived(server)
        end(sock)
        assert await rest(sock) == b""
        (line,) = await ended(server, caplog)
        assert line.startswith(f"127.0.0.1:{own[1]} > {bind[:-1]}")
        assert why in line
        assert server.connections.refused["proxy-header"] == 1


async def test_a_proxy_that_says_nothing_has_its_time(caplog: pytest.LogCaptureFixture) -> None:
    hear(caplog)
    async with behind("127.0.0.1", limits=Limits(handshake=0.1)) as server:
        sock = await connect(server, LINE[:20])
        assert await rest(sock) == b""
        (line,) = await ended(server, caplog)
        assert line.endswith(": no PROXY header within 0.1 s (--limit-handshake)")


async def test_a_proxy_that_resets(caplog: pytest.LogCaptureFixture) -> None:
    hear(caplog)
    async with behind("127.0.0.1") as server:
        sock = await connect(server, LINE[:20])
        await arrived(server)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()
        (line,) = await ended(server, caplog)
        assert line.endswith(": Connection reset by peer before its PROXY header")


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("grace", [0, 5])
async def test_drain_before_the_header(
    tls: bool, grace: float, caplog: pytest.LogCaptureFixture, own_certificates: Path
) -> None:
    hear(caplog)
    async with behind("127.0.0.1", bind=f"{'tls' if tls else 'tcp'}://127.0.0.1:0") as server:
        sock = await connect(server, LINE[:20])
        await arrived(server)
        reading = asyncio.create_task(rest(sock))
        await server.stop(grace)
        assert await reading == b""
        (line,) = lines(caplog)
        assert line.endswith(": server shut down")


async def test_a_header_that_comes_during_drain_is_served() -> None:
    class Slow(Tell):
        def eof_received(self) -> None:
            self.transport.write(b"bye\n")

    async with behind("127.0.0.1", target=Slow) as server:
        sock = await connect(server, LINE[:20])
        await arrived(server)
        stopping = asyncio.create_task(server.stop(5))
        await asyncio.sleep(0)
        await asyncio.get_running_loop().sock_sendall(sock, LINE[20:])
        assert await rest(sock) == REAL + b"bye\n"
        await stopping


async def test_one_that_is_cut_before_its_header(caplog: pytest.LogCaptureFixture) -> None:
    hear(caplog)
    async with behind("127.0.0.1") as server:
        sock = await connect(server, LINE[:20])
        await arrived(server)
        (connection,) = server.connections.open.values()
        assert connection.unsent() == 0
        assert not connection.vanished()
        connection.cut()
        assert await rest(sock) == b""
        (line,) = await ended(server, caplog)
        assert line.endswith(": shut down before its PROXY header")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("header", [LINE, BLOCK])
async def test_under_tls(
    target: object,
    header: bytes,
    caplog: pytest.LogCaptureFixture,
    own_certificates: Path,
) -> None:
    hear(caplog)
    async with behind("127.0.0.1", target=target, bind="tls://127.0.0.1:0") as server:
        context = ssl.create_default_context(cafile=own_certificates / "ca.pem")
        sock = await connect(server, header)
        reader, writer = await asyncio.open_connection(
            sock=sock, ssl=context, server_hostname="localhost"
        )
        assert await reader.readline() == REAL
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        writer.close()
        await writer.wait_closed()
        (line,) = await ended(server, caplog)
        assert line.startswith("203.0.113.9:5000 > tls://127.0.0.1:")
        assert ", TLSv1.3 " in line


async def test_a_stranger_under_tls(own_certificates: Path) -> None:
    async with behind("10.0.0.0/8", bind="tls://127.0.0.1:0") as server:
        context = ssl.create_default_context(cafile=own_certificates / "ca.pem")
        reader, writer = await asyncio.open_connection("localhost", port(server), ssl=context)
        own = writer.get_extra_info("sockname")
        assert await reader.readline() == f"{own} ('127.0.0.1', {port(server)}) None\n".encode()
        writer.close()
        await writer.wait_closed()


async def test_a_failed_handshake_names_the_real_peer(
    caplog: pytest.LogCaptureFixture, own_certificates: Path
) -> None:
    hear(caplog)
    async with behind("127.0.0.1", bind="tls://127.0.0.1:0") as server:
        sock = await connect(server, LINE + b"GET / HTTP/1.1\r\n\r\n")
        await rest(sock)
        (line,) = await ended(server, caplog)
        assert line.startswith("203.0.113.9:5000 > ")
        assert ": TLS handshake failed: " in line


PATHS = encoder.block(encoder.paths(b"/run/client", b"/run/front"), family="UNIX")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("header", "expected", "logged"),
    [
        (LINE, REAL, "203.0.113.9:5000 > unix:"),
        (PATHS, b"/run/client /run/front PROXY\n", "unix:/run/client > unix:"),
        (LOCAL, b" {path} LOCAL\n", "unix(pid="),
    ],
    ids=["INET", "UNIX", "LOCAL"],
)
async def test_on_a_unix_socket(
    target: object,
    header: bytes,
    expected: bytes,
    logged: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hear(caplog)
    path = tmp_path / "x.sock"
    async with behind("unix", target=target, bind=f"unix:{path}") as server:
        sock = await connect(server, header + b"hello\n")
        end(sock)
        assert await rest(sock) == expected.replace(b"{path}", bytes(path)) + b"hello\n"
        (line,) = await ended(server, caplog)
        assert line.startswith(logged)
        assert " 6 B in: " in line


async def test_a_unix_peer_behind_tcp(caplog: pytest.LogCaptureFixture) -> None:
    hear(caplog)
    unnamed = encoder.block(encoder.paths(b"", b"\0front"), family="UNIX")
    async with behind("127.0.0.1") as server:
        for header in (unnamed, PATHS):
            sock = await connect(server, header)
            end(sock)
            await rest(sock)
            await server.connections.emptied()
        first, second = lines(caplog)
        assert first.startswith("unix > tcp:")
        assert second.startswith("unix:/run/client > tcp:")


async def test_one_address_has_so_many_connections_by_whatever_proxy(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hear(caplog)
    loop = asyncio.get_running_loop()
    async with behind("127.0.0.0/8", limits=Limits(per_address=2)) as server:

        async def come(host: str, proxy: str) -> tuple[socket.socket, bytes]:
            header = encoder.line((host, 5000), ("198.51.100.1", 443))
            sock = await connect(server, header, source=proxy)
            return sock, await loop.sock_recv(sock, 100)

        kept = [await come("203.0.113.9", "127.0.0.2"), await come("203.0.113.9", "127.0.0.3")]
        refused, said = await come("203.0.113.9", "127.0.0.2")
        refused.close()
        assert said == b""
        (line,) = lines(caplog)
        assert line.startswith("203.0.113.9:5000 > ")
        assert line.endswith(": refused: too many from its address (--limit-per-address)")
        assert server.connections.refused["per-address"] == 1
        kept.append(await come("203.0.113.10", "127.0.0.2"))
        end(kept[0][0])
        assert await rest(kept[0][0]) == b""
        kept.append(await come("203.0.113.9", "127.0.0.2"))
        for sock, said in kept[1:]:
            assert said.endswith(b"PROXY\n")
            end(sock)
            await rest(sock)


async def test_connections_that_came_while_counting_are_counted() -> None:
    loop = asyncio.get_running_loop()
    async with behind(limits=Limits(per_address=4, loopback=True)) as server:

        async def come(count: int) -> list[socket.socket]:
            socks = [await connect(server) for _ in range(count)]
            for sock in socks:
                assert await loop.sock_recv(sock, 100)
            return socks

        socks = await come(4)
        assert await rest(await connect(server)) == b""  # so that all are counted
        for sock in socks[:2]:
            end(sock)
            assert await rest(sock) == b""
        while len(server.connections.open) > 2:
            await asyncio.sleep(0)
        socks = socks[2:] + await come(2)
        assert await rest(await connect(server)) == b""
        for sock in socks:
            end(sock)
            assert await rest(sock) == b""


async def test_no_more_are_open_than_the_limit() -> None:
    loop = asyncio.get_running_loop()
    async with behind("127.0.0.1", limits=Limits(connections=2)) as server:
        socks = [await connect(server, LINE + b"%d\n" % number) for number in range(6)]
        for number, sock in enumerate(socks):
            received = b""
            while received.count(b"\n") < 2:
                received += await loop.sock_recv(sock, 100)
                assert len(server.connections.open) <= 2
            assert received == REAL + b"%d\n" % number
            sock.close()
        assert server.connections.accepted == 6


class Upgrading(asyncio.Protocol):
    """STARTTLS at the first byte."""

    context: ssl.SSLContext

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(b"go\n")
        self.task = asyncio.get_running_loop().create_task(self.upgrade())

    async def upgrade(self) -> None:
        loop = asyncio.get_running_loop()
        carrier = self.transport
        if is_uvloop(loop):
            with pytest.raises(TypeError, match="not supported by start_tls"):
                await loop.start_tls(carrier, Tell(), self.context, server_side=True)
            carrier = carrier.inner
        protocol = Tell()
        secured = await loop.start_tls(carrier, protocol, self.context, server_side=True)
        assert secured is not None
        protocol.connection_made(secured)


async def test_start_tls(own_certificates: Path) -> None:
    Upgrading.context = TLS(tls=True).load().context
    client = ssl.create_default_context(cafile=own_certificates / "ca.pem")
    async with behind("127.0.0.1", target=Upgrading) as server:
        sock = await connect(server, LINE + b"STARTTLS\n")
        own = sock.getsockname()
        reader, writer = await asyncio.open_connection(sock=sock)
        assert await reader.readline() == b"go\n"
        await writer.start_tls(client, server_hostname="localhost")
        if is_uvloop(asyncio.get_running_loop()):
            assert await reader.readline() == f"{own} ('127.0.0.1', {port(server)}) None\n".encode()
        else:
            assert await reader.readline() == REAL
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        writer.close()
        await writer.wait_closed()


async def test_the_transport_forwards_without_python_in_between() -> None:
    met: list[Any] = []

    class Meet(Tell):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            met.append(transport)
            super().connection_made(transport)

    async with behind("127.0.0.1", target=Meet) as server:
        sock = await connect(server, LINE)
        assert await asyncio.get_running_loop().sock_recv(sock, 100) == REAL
        (transport,) = met
        assert type(transport) is Proxied
        for name in ("write", "writelines", "pause_reading", "resume_reading", "is_closing"):
            assert getattr(transport, name) == getattr(transport.inner, name)
        assert transport.get_extra_info("socket").fileno() >= 0
        assert transport.get_extra_info("nothing", "else") == "else"
        assert transport.get_extra_info("proxy_header").source == ("203.0.113.9", 5000)
        transport.close()
        assert await rest(sock) == b""
        await server.connections.emptied()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_random_beginnings_leave_nothing_behind(
    tls: bool, caplog: pytest.LogCaptureFixture, own_certificates: Path
) -> None:
    hear(caplog)
    chance = random.Random("proxies")
    headers = (LINE, BLOCK, LOCAL, encoder.with_checksum(BLOCK), b"PROXY UNKNOWN\r\n")

    async def misbehave(server: Server) -> None:
        header = bytearray(chance.choice(headers))
        for _ in range(chance.choice((0, 0, 1, 3))):
            header[chance.randrange(len(header))] = chance.randrange(256)
        data = header[: chance.choice((0, 5, 20, 99))] + chance.randbytes(chance.choice((0, 50)))
        sock = await connect(server, bytes(data))
        if chance.random() < 0.3:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            sock.close()
        else:
            end(sock)
            await rest(sock)

    async with behind("127.0.0.1", bind=f"{'tls' if tls else 'tcp'}://127.0.0.1:0") as server:
        for _ in range(20):
            await asyncio.gather(*(misbehave(server) for _ in range(16)))
        said = await ended(server, caplog)
        assert len(said) == server.connections.accepted
        assert not [each for each in caplog.records if each.levelname in ("WARNING", "ERROR")]
