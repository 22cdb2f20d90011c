"""The real peer is what handlers, limits and the log see: real sockets, in this process."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from netkit.proxied import Proxied
from tests.proxy import encoder
from tests.proxy.encoder import BLOCK, LINE, LOCAL
from tests.proxy.served import (
    REAL,
    TARGETS,
    Tell,
    arrived,
    behind,
    connect,
    end,
    ended,
    hear,
    lines,
    port,
    rest,
)

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
