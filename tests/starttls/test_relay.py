"""``netkit serve tls --to … --starttls …``: STARTTLS in front of a server that has none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import netkit
from netkit.servers.tls import Tls
from netkit.starttls import Name
from tests.starttls.playing import GO_AHEAD, NAMES, SWITCH, client, serving

GREETINGS: dict[Name, bytes] = {
    "imap": b"* OK [CAPABILITY IMAP4rev1] plain\r\n",
    "irc": b"",
    "pop3": b"+OK plain\r\n",
    "smtp": b"220-plain\r\n220 ESMTP\r\n",
}


@asynccontextmanager
async def plain(greeting: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that greets and then echoes: its port, and what it heard."""
    heard: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in greeting.splitlines(keepends=True):
            writer.write(part)
            await writer.drain()
        with suppress(ConnectionError):  # a client that just goes is passed on as a reset
            while line := await reader.readline():
                heard.append(line)
                writer.write(line)
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], heard


def relay(port: int, **settings: Any) -> Tls:
    return Tls(to=(f"127.0.0.1:{port}",), check_every=0, **settings)


@pytest.mark.parametrize("name", NAMES)
async def test_the_client_is_greeted_once(name: Name, own_certificates: Path) -> None:
    async with (
        plain(GREETINGS[name]) as (port, heard),
        serving(name, relay(port)) as server,
    ):
        async with client(server, own_certificates) as talking:
            if name != "irc":
                await talking.line()
            await talking.send(SWITCH[name])
            assert GO_AHEAD[name] in await talking.line()
            await talking.secure()
            assert await talking.ask(b"a\r\n") == b"a\r\n"
            assert await talking.ask(b"b\r\n") == b"b\r\n"
        await server.connections.emptied()
    assert heard == [b"a\r\n", b"b\r\n"]


async def test_an_upstream_that_welcomes_nobody(
    own_certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "netkit.access")
    async with (
        plain(b"554 go away\r\n") as (port, heard),
        serving("smtp", relay(port)) as server,
    ):
        async with client(server, own_certificates) as talking:
            await talking.line()
            await talking.send(b"STARTTLS\r\n")
            await talking.line()
            await talking.secure()
            assert await talking.ask(b"a\r\n") == b""
        await server.connections.emptied()
    assert heard == []
    assert "it greets with b'554 go away'" in caplog.text


async def test_an_upstream_that_is_silent(
    own_certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "netkit.access")
    async with (
        plain(b"") as (port, heard),
        serving("smtp", relay(port, connect_timeout=0.2)) as server,
    ):
        async with client(server, own_certificates) as talking:
            await talking.line()
            await talking.send(b"STARTTLS\r\n")
            await talking.line()
            await talking.secure()
            assert await talking.ask(b"a\r\n") == b""
        await server.connections.emptied()
    assert heard == []
    assert "no answer in time" in caplog.text


async def test_a_plain_listener_beside_it_is_no_business_of_starttls() -> None:
    async with (
        plain(b"220 plain\r\n") as (port, _),
        netkit.serve(
            relay(port), bind=["tls://127.0.0.1:0", "tcp://127.0.0.1:0"], starttls="smtp"
        ) as server,
    ):
        where = server.endpoints[1].address.port
        reader, writer = await asyncio.open_connection("127.0.0.1", where)
        assert await reader.readline() == b"220 plain\r\n"
        writer.close()
        await writer.wait_closed()
