"""Traps that differ between asyncio's versions and uvloop, and out of which netkit keeps servers.

Others have tests where they belong: an exception in ``connection_made`` leaves the socket
open on asyncio (tests/runtime/test_targets.py), ``readline`` over its limit, the limit on
TLS handshakes (tests/runtime/test_limits.py), SIGHUP (tests/systemd/test_hangup.py).
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from contextlib import suppress
from pathlib import Path

import pytest

import netkit
from tests.runtime.talkers import SecureTalker, Talker

SWALLOWS = sys.version_info < (3, 12)
"""Whether this Python's `asyncio.wait_for` loses cancellations (CPython issue 86296)."""


def port(server: netkit.Server) -> int:
    return int(server.addresses[0].rpartition(":")[2])


async def test_the_end_waits_for_handlers() -> None:
    """`Server.wait_closed` does not on 3.11, does from 3.12.1 on, and on uvloop it does."""
    returned = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.write(b"goodbye")
        for _ in range(100):
            await asyncio.sleep(0)  # a turn of the loop
        returned.set()

    async with netkit.serve(handle) as server:
        talker = await Talker.connect(port(server))
        await talker.write(b"hello")
        while not server.connections.open:
            await asyncio.sleep(0)  # a turn of the loop
        stopping = asyncio.create_task(server.stop())
        assert await talker.read() == b"goodbye"
        talker.sock.close()
        await stopping
        assert returned.is_set()


async def test_a_handler_that_drains_in_a_loop_lets_others_in() -> None:
    """`drain()` returns at once while the buffer is low, without a turn of the loop."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1):
            writer.write(data)
            await writer.drain()

    async with netkit.serve(handle) as server:
        busy, other = await Talker.connect(port(server)), await Talker.connect(port(server))
        flooding = asyncio.create_task(busy.write(b"x" * 200_000))
        await other.write(b"y")
        assert await other.read() == b"y"
        flooding.cancel()
        await asyncio.wait([flooding])
        busy.sock.close()
        other.sock.close()


async def test_cancelling_a_handler_is_not_lost_in_a_timeout() -> None:
    """`wait_for` may swallow a cancellation that comes with its result (before 3.12)."""
    cancelled = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(1000):
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with netkit.serve(handle, grace=0.05) as server:
        talker = await Talker.connect(port(server))
        await talker.write(b"x")
        while not server.connections.open:
            await asyncio.sleep(0)  # a turn of the loop
    assert cancelled.is_set()
    talker.sock.close()


async def test_a_cancellation_that_wait_for_swallows_ends_the_connection_all_the_same() -> None:
    """Before 3.12 `wait_for` returns a result that came in the same turn, and is not cancelled."""
    came, went_on = asyncio.Event(), asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.wait_for(came.wait(), 1000)
        went_on.set()
        assert not await reader.read()

    async with netkit.serve(handle, grace=1000) as server:
        talker = await Talker.connect(port(server))
        while not server.connections.open:
            await asyncio.sleep(0)  # a turn of the loop
        await asyncio.sleep(0)  # and one in which the handler comes to its wait
        came.set()
        if SWALLOWS:
            await asyncio.sleep(0)  # its result is there, and has not been passed on
        (number,) = server.connections.open
        assert server.cut(number)
        await server.connections.emptied()
        assert went_on.is_set() == SWALLOWS
        talker.sock.close()


async def test_a_handler_that_refuses_to_be_cancelled_does_not_keep_the_server(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netkit.drain.STUBBORN", 0.05)
    released = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not released.is_set():
            with suppress(asyncio.CancelledError):
                await released.wait()

    async with netkit.serve(handle, grace=0.05) as server:
        talker = await Talker.connect(port(server))
        while not server.connections.open:
            await asyncio.sleep(0)  # a turn of the loop
    assert "1 cancelled handler left behind" in caplog.text
    released.set()
    await server.connections.emptied()
    talker.sock.close()


async def test_a_peer_that_never_answers_our_close_notify_is_left_soon(
    own_certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """asyncio and uvloop wait 30 s for it; netkit five, and here a twentieth."""
    monkeypatch.setattr("netkit.tls.transport.SHUTDOWN_TIMEOUT", 0.05)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    async with netkit.serve(handle, bind="tls://127.0.0.1:0", tls=True, grace=1000) as server:
        context = ssl.create_default_context(cafile=own_certificates / "ca.pem")
        talker = await SecureTalker.connect(port(server))
        await talker.secure(context)
        await talker.write(b"x")
        while server.connections.open:
            await asyncio.sleep(0.001)  # the registry has no event for one end
        talker.sock.close()
