"""Many who begin a TLS handshake and never finish it: cut off by the limit, counted, told of."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from netkit.addresses import parse
from tests.admin.test_http import curl, value
from tests.runtime.process import LOOPS, serving
from tests.runtime.talkers import SecureTalker, Talker

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),
    pytest.mark.parametrize("loop", LOOPS),
]

ATTACKERS = 200
FAILURES = 'netkit_tls_handshake_failures_total{reason="handshake-timeout"}'


def client_hello() -> bytes:
    """What a TLS client says first."""
    outgoing = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(
            ssl.MemoryBIO(), outgoing, server_hostname="localhost"
        ).do_handshake()
    return outgoing.read()


async def test_half_open_handshakes_are_ended_and_counted(
    loop: str, own_certificates: Path
) -> None:
    words = ("--bind", "tls://127.0.0.1:0", "--tls", "--limit-handshake", 1)
    hello = client_hello()
    beginnings = (b"", hello[:1], hello[: len(hello) // 2], hello[:-1])
    async with (
        serving("echo", *words, "--admin", "127.0.0.1:0", loop=loop) as server,
        AsyncExitStack() as stack,
    ):
        (line,) = await server.logged("admin on ")
        admin = parse(line.rpartition(" ")[2])
        guest = await SecureTalker.connect(server.ports[0])
        stack.callback(guest.sock.close)
        await guest.secure(ssl.create_default_context(cafile=own_certificates / "ca.pem"))

        async def attack(number: int) -> None:
            attacker = await Talker.connect(server.ports[0])
            stack.callback(attacker.sock.close)
            await attacker.write(beginnings[number % len(beginnings)])
            with suppress(ConnectionResetError):  # what it sent was not all read
                assert await attacker.read() == b""

        async with asyncio.TaskGroup() as attackers:
            for number in range(ATTACKERS):
                attackers.create_task(attack(number))
            await guest.write(b"meanwhile")
            assert await guest.read() == b"meanwhile"

        told = await server.logged("the client did not finish the handshake in time", ATTACKERS)
        assert len(told) == ATTACKERS
        _, figures = await curl(admin, "/metrics")
        assert value(figures, FAILURES) == ATTACKERS
        assert value(figures, "netkit_connections_accepted_total") == ATTACKERS + 1
        assert value(figures, 'netkit_connections_open{worker="0"}') == 1
        await guest.write(b"afterwards")
        assert await guest.read() == b"afterwards"
        assert not server.complaints()
