"""``--fd N`` follows ``--tls``, in the loop that runs."""

from __future__ import annotations

import asyncio
import socket

import pytest

import netkit
from netkit.certificates.develop import development
from netkit.options import Binding
from netkit.tls.client import client_context
from tests.systemd.test_activation import said


@pytest.mark.parametrize("by_url", [True, False])
async def test_tls_on_an_inherited_socket(by_url: bool) -> None:
    fd = socket.create_server(("127.0.0.1", 0)).detach()
    bind = Binding(bind=(f"fd://{fd}",)) if by_url else Binding(fd=fd)
    async with netkit.serve("echo", bind=bind, tls=True) as server:
        (url,) = server.addresses
        assert url.startswith("tls://127.0.0.1:")
        port = int(url.rpartition(":")[2])
        context = client_context(ca_certs=development().ca)
        streams = await asyncio.open_connection("localhost", port, ssl=context)
        assert await said(streams) == b"hello\n"


async def test_plain_text_on_an_inherited_socket() -> None:
    fd = socket.create_server(("127.0.0.1", 0)).detach()
    async with netkit.serve("echo", bind=Binding(fd=fd)) as server:
        (url,) = server.addresses
        assert url.startswith("tcp://")
        port = int(url.rpartition(":")[2])
        assert await said(await asyncio.open_connection("127.0.0.1", port)) == b"hello\n"


async def test_datagrams_stay_plain_under_tls() -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    async with netkit.serve("echo", bind=Binding(fd=sock.detach()), tls=True) as server:
        assert server.addresses[0].startswith("udp://")
