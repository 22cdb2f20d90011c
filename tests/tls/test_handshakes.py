"""A server's handshakes: the ends that no client brings about."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest

from netkit.addresses import parse
from netkit.endpoints import bind
from netkit.server import Server
from netkit.servers.echo import echo
from netkit.targets import as_service
from netkit.tls import client_context
from netkit.tls.secured import Secured
from tests.handshakes import local


@pytest.mark.usefixtures("own_certificates")
async def test_a_certificate_that_cannot_be_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL has verified it, and `ssl` raises."""

    def getpeercert(_: Any, binary_form: bool = False) -> None:
        raise ssl.SSLError("an odd name")

    (endpoint,) = bind(parse("tls://127.0.0.1:0"))
    async with Server(as_service(echo), [endpoint], tls=local()) as server:
        where = ("127.0.0.1", endpoint.address.port)
        with monkeypatch.context() as odd:
            odd.setattr(Secured, "getpeercert", getpeercert)
            reader, writer = await asyncio.open_connection(
                *where, ssl=client_context(), server_hostname="localhost"
            )
            assert await reader.read() == b""
            writer.close()
            await server.connections.emptied()
        assert server.connections.handshake_failures.total() == 1
        reader, writer = await asyncio.open_connection(
            *where, ssl=client_context(), server_hostname="localhost"
        )
        writer.write(b"the next one")
        assert await reader.readexactly(12) == b"the next one"
        writer.close()
