"""netkit's TLS transport at the client's end."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from netkit.tls import client_context
from netkit.tls.connecting import start_client
from netkit.tls.secured import secure
from netkit.tls.shaking import shake_hands
from tests.handshakes import local
from tests.tls.peer import Heard, tcp_pair

pytestmark = pytest.mark.usefixtures("own_certificates")


async def test_as_a_client() -> None:
    theirs, ours = tcp_pair()
    server = secure(theirs, local().context, server_side=True)
    answering = asyncio.create_task(shake_hands(server))
    trusting = client_context()
    transport, heard = await start_client(Heard, ours, trusting, server_hostname="localhost")
    await answering
    transport.write(b"hello")
    await asyncio.sleep(0)  # a turn, after which it is sent
    assert server.recv(100) == b"hello"
    server.send(b"you too")
    assert await heard.got(7) == b"you too"
    assert transport.get_extra_info("peercert")["subject"]
    server.close()
    await heard.happened("lost")


async def test_a_client_that_distrusts_closes_its_socket() -> None:
    theirs, ours = tcp_pair()
    server = secure(theirs, local().context, server_side=True)
    answering = asyncio.create_task(shake_hands(server))
    with pytest.raises(ssl.SSLCertVerificationError):
        await start_client(Heard, ours, client_context(), server_hostname="elsewhere.test")
    assert ours.fileno() == -1
    with pytest.raises(ssl.SSLError):
        await answering
    server.close()
