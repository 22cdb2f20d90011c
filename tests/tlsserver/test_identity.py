"""Upstreams hear who the client is: netkit and haproxy behind the terminator."""

from __future__ import annotations

import asyncio
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import netkit
from netkit import TLS, Proxy, Server, proxy_headers
from netkit.certificates import issuing
from netkit.proxy_headers import ALPN, AUTHORITY, SSL
from netkit.proxy_protocol import Header
from netkit.tls import client_context
from tests.forked import signalled
from tests.peers import peer
from tests.proxy.haproxy import listening_socket
from tests.tlsserver.relayed import Client, port, relaying

HAPROXY = """
global
    maxconn 100
defaults
    mode http
    timeout connect 10s
    timeout client 30s
    timeout server 30s
frontend front
    bind fd@{descriptor} accept-proxy
    http-request return status 200 content-type text/plain lf-string \
"%[src] %[src_port] %[fc_pp_authority] %[fc_pp_unique_id]"
"""


@asynccontextmanager
async def hearing() -> AsyncIterator[tuple[Server, asyncio.Queue[Header]]]:
    """netkit behind the terminator, and the headers that it got."""
    headers: asyncio.Queue[Header] = asyncio.Queue()

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        headers.put_nowait(writer.get_extra_info("proxy_header"))
        writer.write(await reader.read())

    async with netkit.serve(keep, bind="tcp://127.0.0.1:0", proxy=Proxy(("127.0.0.1",))) as server:
        yield server, headers


async def exchanged(server: Server, context: ssl.SSLContext, name: str = "localhost") -> Client:
    client = await Client.connect(server, context, name)
    await client.send(b"hello")
    await client.end()
    assert await client.rest() == b"hello"
    client.close()
    return client


async def test_without_certificate(own_certificates: Path) -> None:
    context = client_context(insecure=True, alpn=("irc",))
    async with hearing() as (behind, headers):
        to = f"127.0.0.1:{port(behind)}"
        async with relaying(to, send_proxy="v2", tls=TLS(tls=True, ssl_alpn=("irc",))) as server:
            await exchanged(server, context, "shop.test")
            header = await headers.get()
            assert header.command == "PROXY"
            assert header.destination == ("127.0.0.1", port(server))
            assert header.tlv(ALPN) == b"irc"
            assert header.tlv(AUTHORITY) == b"shop.test"
            told = header.tlv(SSL)
            assert told is not None
            # TLS and nothing else; `verify` is not 0: nobody was verified.
            assert told[:5] == b"\x01\0\0\0\x01"
            assert proxy_headers.tlv(proxy_headers.SSL_VERSION, b"TLSv1.3") in told


async def test_with_certificate(own_certificates: Path) -> None:
    made = issuing.issue(["alice"], client=True)
    context = client_context(cert=made.cert, key=made.key)
    demanding = TLS(tls=True, ssl_ca_certs=own_certificates / "ca.pem")
    async with hearing() as (behind, headers):
        to = f"127.0.0.1:{port(behind)}"
        async with relaying(to, send_proxy="v2", tls=demanding) as server:
            await exchanged(server, context)
            told = (await headers.get()).tlv(SSL)
            assert told is not None
            assert told[:5] == b"\x07\0\0\0\0"
            assert proxy_headers.tlv(proxy_headers.SSL_CN, b"alice") in told


async def test_version_1() -> None:
    async with hearing() as (behind, headers):
        to = f"127.0.0.1:{port(behind)}"
        async with relaying(to, send_proxy="v1") as server:
            await exchanged(server, client_context(insecure=True))
            header = await headers.get()
            assert header.version == 1
            assert header.destination == ("127.0.0.1", port(server))


async def test_checks_speak_for_themselves() -> None:
    async with hearing() as (behind, headers):
        to = f"127.0.0.1:{port(behind)}"
        async with relaying(to, send_proxy="v2", check_every=3600.0):
            assert await headers.get() == Header(2, "LOCAL")


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_haproxy_believes_it(version: str, tmp_path: Path) -> None:
    config = tmp_path / "haproxy.cfg"
    with listening_socket() as front:
        config.write_text(HAPROXY.format(descriptor=front.fileno()))
        haproxy = await asyncio.create_subprocess_exec(
            peer("haproxy"), "-q", "-db", "-f", config,
            pass_fds=[front.fileno()], stdin=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            to = f"127.0.0.1:{front.getsockname()[1]}"
            async with relaying(to, send_proxy=version) as server:
                client = await Client.connect(server, name="shop.test")
                await client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                own = client.sock.getsockname()[1]
                body = (await client.rest()).partition(b"\r\n\r\n")[2].decode().split()
                assert body[:2] == ["127.0.0.1", str(own)]
                assert body[2:] == (["shop.test"] if version == "v2" else [])
                await client.end()
                client.close()
        finally:
            signalled(haproxy, signal.SIGKILL)
            await haproxy.wait()
