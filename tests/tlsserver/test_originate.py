"""Plain text in, TLS out: what is verified, and what the plain client sees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import netkit
from netkit import TLS, Server
from netkit.certificates import issuing
from netkit.certificates.develop import development
from tests.tlsserver.relayed import (
    Client,
    access,
    figure,
    free_port,
    hear,
    port,
    relaying,
    said,
    why,
)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def originating(tls: TLS | None = None, **settings: Any) -> AsyncIterator[Server]:
    """A TLS server, and netkit in front of it for clients without TLS."""
    async with netkit.serve(echo, bind="tls://127.0.0.1:0", tls=tls or TLS(tls=True)) as behind:
        to = f"localhost:{port(behind)}"
        async with relaying(to, bind="tcp://127.0.0.1:0", originate=True, **settings) as server:
            yield server


async def test_there_and_back() -> None:
    data = bytes(range(256)) * 4000
    async with originating() as server:
        client = await Client.connect(server, plain=True)
        sending = asyncio.create_task(client.send(data))
        assert await client.exactly(len(data)) == data
        await sending
        await client.end()
        assert await client.rest() == b""
        client.close()
        await server.connections.emptied()


async def test_the_half_that_ends_first() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.read()  # all of it, to the client's close_notify
        writer.write(asked.upper() * 1000)

    async with netkit.serve(answer, bind="tls://127.0.0.1:0", tls=True) as behind:
        to = f"localhost:{port(behind)}"
        async with relaying(to, bind="tcp://127.0.0.1:0", originate=True) as server:
            client = await Client.connect(server, plain=True)
            await client.send(b"question")
            await client.end()
            assert await client.rest() == b"QUESTION" * 1000
            client.close()
            await server.connections.emptied()


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"server_name": "other.localhost.test"}, "the certificate is for another host name"),
        ({"ca_certs": "other"}, "the certificate is from a CA that we do not trust"),
    ],
)
async def test_a_certificate_that_is_not_right(
    settings: dict[str, Any], line: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    hear(caplog)
    if "ca_certs" in settings:
        settings = {"ca_certs": development(tmp_path / "other").ca}
    async with originating(**settings) as server:
        client = await Client.connect(server, plain=True)
        await client.send(b"secret")
        assert await client.rest() == b""  # in order
        await client.end()
        client.close()
        end = await why(server, caplog)
        assert end.startswith("no upstream: localhost:")
        assert line in end
        assert "\n" not in end


async def test_a_server_that_is_no_tls_server(caplog: pytest.LogCaptureFixture) -> None:
    hear(caplog)
    async with netkit.serve("qotd", bind="tcp://127.0.0.1:0") as behind:
        to = f"127.0.0.1:{port(behind)}"
        async with relaying(to, bind="tcp://127.0.0.1:0", originate=True) as server:
            client = await Client.connect(server, plain=True)
            assert await client.rest() == b""
            await client.end()
            client.close()
            await server.connections.emptied()
            assert "did not answer with TLS: the port speaks plain text? drop --originate" in str(
                caplog.messages
            )


async def test_insecure_is_explicit() -> None:
    async with originating(server_name="other.test", insecure=True) as server:
        client = await Client.connect(server, plain=True)
        await client.send(b"hello")
        assert await client.exactly(5) == b"hello"
        client.close()
        await server.connections.emptied()


async def test_a_server_that_demands_a_certificate(
    own_certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hear(caplog)
    made = issuing.issue(["alice"], client=True)
    demanding = TLS(tls=True, ssl_ca_certs=own_certificates / "ca.pem")
    async with originating(demanding, cert=made.cert, key=made.key) as server:
        client = await Client.connect(server, plain=True)
        await client.send(b"hello")
        assert await client.exactly(5) == b"hello"
        client.close()
        await server.connections.emptied()


async def test_retried_at_another(caplog: pytest.LogCaptureFixture) -> None:
    dead = f"127.0.0.1:{free_port()}"
    async with netkit.serve(echo, bind="tls://127.0.0.1:0", tls=True) as behind:
        good = f"127.0.0.1:{port(behind)}"
        async with relaying(dead, good, bind="tcp://127.0.0.1:0", originate=True) as server:
            for _ in range(2):
                client = await Client.connect(server, plain=True)
                await client.send(b"hello")
                assert await client.exactly(5) == b"hello"
                client.close()
            await server.connections.emptied()


async def test_tls_on_both_sides() -> None:
    async with netkit.serve(echo, bind="tls://127.0.0.1:0", tls=True) as behind:
        to = f"localhost:{port(behind)}"
        async with relaying(to, originate=True, tls=True) as server:
            client = await Client.connect(server)
            await client.send(b"hello")
            assert await client.exactly(5) == b"hello"
            await client.end()
            assert await client.rest() == b""
            client.close()
            await server.connections.emptied()


async def test_a_unix_socket_in_front(tmp_path: Path) -> None:
    path = tmp_path / "plain.sock"
    async with netkit.serve(echo, bind="tls://127.0.0.1:0", tls=True) as behind:
        to = f"localhost:{port(behind)}"
        async with relaying(to, bind=f"unix:{path}", originate=True) as server:
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"hello")
            writer.write_eof()
            assert await reader.read() == b"hello"
            writer.close()
            await writer.wait_closed()
            await server.connections.emptied()


async def test_a_check_shakes_hands_and_takes_leave(caplog: pytest.LogCaptureFixture) -> None:
    hear(caplog)
    async with originating(check_every=3600.0):
        while not access(caplog):
            await asyncio.sleep(0)  # a turn of the loop
    (line,) = access(caplog)
    assert line.rpartition(", ")[2].startswith("TLSv1.3 ")
    assert line.endswith(": closed by peer")  # in order: neither reset nor truncated


async def test_an_upstream_whose_certificate_is_not_right_is_down(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    hear(caplog)
    other = development(tmp_path / "other").ca
    async with originating(ca_certs=other, check_every=3600.0) as server:
        while figure(server, "tls_upstream_up"):
            await asyncio.sleep(0)  # a turn of the loop
    (line,) = said(caplog)
    assert line.startswith("upstream down: localhost:")
    assert "the certificate is from a CA that we do not trust" in line


async def test_an_upstream_that_does_not_take_leave_is_up() -> None:
    async def stay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with netkit.serve(stay, bind="tls://127.0.0.1:0", tls=True, grace=0) as behind:
        to = f"localhost:{port(behind)}"
        async with relaying(
            to,
            bind="tcp://127.0.0.1:0",
            originate=True,
            check_every=0.01,
            connect_timeout=0.5,  # less than a check's leave
        ) as server:
            while behind.connections.accepted < 2:  # the first check is over
                await asyncio.sleep(0.01)  # nothing tells of the next
            assert figure(server, "tls_upstream_failures_total") == 0
            assert figure(server, "tls_upstream_up") == 1
