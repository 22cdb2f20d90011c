"""Proxies that we did not write: haproxy in front of netkit, and curl that claims to be one."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from netkit.proxy_protocol import Header
from tests.peers import peer
from tests.proxy.haproxy import haproxy, listening_socket
from tests.proxy.served import TARGETS, Tell, behind, ended, hear, port, tell

SENDS = {
    "v1": "send-proxy",
    "v2": "send-proxy-v2",
    "v2 with TLVs": "send-proxy-v2 proxy-v2-options crc32c,unique-id",
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("sends", SENDS)
async def test_haproxy(
    target: object, sends: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hear(caplog)
    with listening_socket() as front:
        async with (
            behind("127.0.0.1", target=target) as server,
            haproxy(f"127.0.0.1:{port(server)} {SENDS[sends]}", tmp_path, front),
        ):
            there = front.getsockname()
            reader, writer = await asyncio.open_connection(*there, local_addr=("127.0.0.7", 0))
            own = writer.get_extra_info("sockname")
            assert await reader.readline() == f"{own} {there} PROXY\n".encode()
            writer.write(b"hello\n")
            assert await reader.readline() == b"hello\n"
            writer.close()
            await writer.wait_closed()
            (line,) = await ended(server, caplog)
            assert line.startswith(f"127.0.0.7:{own[1]} > tcp://127.0.0.1:{port(server)} ")


@pytest.mark.parametrize("sends", SENDS)
async def test_haproxy_before_tls(
    sends: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, own_certificates: Path
) -> None:
    hear(caplog)
    with listening_socket() as front:
        async with (
            behind("127.0.0.1", bind="tls://127.0.0.1:0") as server,
            haproxy(f"127.0.0.1:{port(server)} {SENDS[sends]}", tmp_path, front),
        ):
            context = ssl.create_default_context(cafile=own_certificates / "ca.pem")
            there = front.getsockname()
            reader, writer = await asyncio.open_connection(
                *there, local_addr=("127.0.0.7", 0), ssl=context, server_hostname="localhost"
            )
            own = writer.get_extra_info("sockname")
            assert await reader.readline() == f"{own} {there} PROXY\n".encode()
            writer.write(b"hello\n")
            assert await reader.readline() == b"hello\n"
            writer.close()
            await writer.wait_closed()
            (line,) = await ended(server, caplog)
            assert line.startswith(f"127.0.0.7:{own[1]} > tls://127.0.0.1:{port(server)} ")


@pytest.mark.parametrize("sends", SENDS)
async def test_haproxy_on_ipv6_to_a_unix_socket(sends: str, tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with listening_socket(socket.AF_INET6) as front:
        async with (
            behind("unix", bind=f"unix:{path}") as server,
            haproxy(f"unix@{path} {SENDS[sends]}", tmp_path, front),
        ):
            reader, writer = await asyncio.open_connection(*front.getsockname()[:2])
            own, there = writer.get_extra_info("sockname"), front.getsockname()
            assert await reader.readline() == f"{own} {there} PROXY\n".encode()
            writer.close()
            await writer.wait_closed()
            assert await reader.read() == b""
            await server.connections.emptied()


async def test_what_haproxy_says_besides(tmp_path: Path) -> None:
    headers: asyncio.Queue[Header] = asyncio.Queue()

    class Keep(Tell):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            headers.put_nowait(transport.get_extra_info("proxy_header"))

    with listening_socket() as front:
        async with (
            behind("127.0.0.1", target=Keep) as server,
            haproxy(f"127.0.0.1:{port(server)} {SENDS['v2 with TLVs']}", tmp_path, front),
        ):
            _, writer = await asyncio.open_connection(*front.getsockname())
            host, own_port = writer.get_extra_info("sockname")
            header = await headers.get()
            assert header.tlv(0x05) == f"{host}:{own_port}".encode()
            assert len(header.tlv(0x03) or b"") == 4
            writer.close()
            await writer.wait_closed()
            await server.connections.emptied()


async def test_health_checks_of_haproxy(tmp_path: Path) -> None:
    headers: asyncio.Queue[Header] = asyncio.Queue()

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        headers.put_nowait(writer.get_extra_info("proxy_header"))
        await tell(reader, writer)

    # Without something to expect, haproxy resets a check's connection at once.
    more = "option tcp-check\n    tcp-check expect string LOCAL"
    server_line = "send-proxy-v2 check check-send-proxy inter 50ms"
    with listening_socket() as front:
        async with (
            behind("127.0.0.1", target=keep) as server,
            haproxy(f"127.0.0.1:{port(server)} {server_line}", tmp_path, front, more),
        ):
            assert await headers.get() == Header(2, "LOCAL")


async def test_a_haproxy_that_was_not_told_to_send_a_header(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hear(caplog)
    with listening_socket() as front:
        async with (
            behind("127.0.0.1") as server,
            haproxy(f"127.0.0.1:{port(server)}", tmp_path, front),
        ):
            reader, writer = await asyncio.open_connection(*front.getsockname())
            writer.write(b"EHLO there\r\n")
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
            (line,) = await ended(server, caplog)
            assert line.endswith(": no PROXY header: it begins with b'EHLO there\\r\\n'")


async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say over HTTP what is seen."""
    await reader.readuntil(b"\r\n\r\n")
    body = repr(writer.get_extra_info("proxy_header").source).encode()
    writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + body)


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
async def test_curl(scheme: str, caplog: pytest.LogCaptureFixture, own_certificates: Path) -> None:
    hear(caplog)
    async with behind("127.0.0.1", target=http, bind=f"{scheme}://127.0.0.1:0") as server:
        web = "https" if scheme == "tls" else "http"
        process = await asyncio.create_subprocess_exec(
            peer("curl"), "-sS", "--haproxy-protocol", "--cacert", own_certificates / "ca.pem",
            "--write-out", "\n%{local_port}", f"{web}://127.0.0.1:{port(server)}/",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, _ = await process.communicate()
        said, local_port = out.decode().split("\n")
        assert process.returncode == 0
        assert said == f"('127.0.0.1', {local_port})"
        (line,) = await ended(server, caplog)
        assert line.startswith(f"127.0.0.1:{local_port} > {scheme}://")
