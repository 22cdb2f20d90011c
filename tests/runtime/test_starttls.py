"""A handler that turns to TLS in the middle, as mail and IRC servers do (STARTTLS)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

import netkit
from netkit.options import TLS
from netkit.service import StreamHandler
from tests.runtime.talkers import SecureTalker, Talker


def spoken(port: int, trusted: Path) -> list[bytes]:
    """What the server says, to the end, which has to be an orderly one."""
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.sendall(b"STARTTLS\n")
        said = [plain.recv(100)]
        context = ssl.create_default_context(cafile=trusted)
        with context.wrap_socket(
            plain, server_hostname="localhost", suppress_ragged_eofs=False
        ) as secured:
            secured.sendall(b"hello\n")
            said += [secured.recv(100), secured.recv(100)]
    return said


async def test_the_end_is_told_by_tls(
    own_certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "netkit.access")
    context = TLS(tls=True).load().context

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"go on\n")
        await writer.start_tls(context)
        writer.write(await reader.readline())

    async with netkit.serve(handle) as server:
        port = int(server.addresses[0].rpartition(":")[2])
        said = await asyncio.to_thread(spoken, port, own_certificates / "ca.pem")
    assert said == [b"go on\n", b"hello\n", b""]
    assert "TLSv1.3 " in caplog.text


async def test_it_is_drained_in_order(own_certificates: Path) -> None:
    context = TLS(tls=True).load().context
    secured = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"go on\n")
        await writer.start_tls(context)
        writer.write(await reader.readline())
        secured.set()
        assert await reader.read() == b""

    async with netkit.serve(handle) as server:
        port = int(server.addresses[0].rpartition(":")[2])
        talking = asyncio.create_task(asyncio.to_thread(spoken, port, own_certificates / "ca.pem"))
        await secured.wait()
    assert await talking == [b"go on\n", b"hello\n", b""]


class Eager(SecureTalker):
    """Sends something in the clear, and its hello right behind it, in one piece."""

    in_the_clear = b"STARTTLS\n"

    async def _flush(self) -> None:
        if data := self._outgoing.read():
            await Talker.write(self, self.in_the_clear + data)
            self.in_the_clear = b""


def turning_to_tls(heard: list[bytes]) -> StreamHandler:
    """Read a line, turn to TLS, and echo the others."""
    context = TLS(tls=True).load().context

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readline())
        await writer.start_tls(context)
        while line := await reader.readline():
            heard.append(line)
            writer.write(line)

    return handle


async def test_a_hello_that_was_read_ahead_is_not_lost(own_certificates: Path) -> None:
    """As behind a proxy, whose header a handler reads itself (cpython#142352, uvloop#707)."""
    heard: list[bytes] = []
    async with netkit.serve(turning_to_tls(heard)) as server:
        talker = await Eager.connect(int(server.addresses[0].rpartition(":")[2]))
        await talker.secure(ssl.create_default_context(cafile=own_certificates / "ca.pem"))
        await talker.write(b"hello\n")
        assert await talker.read() == b"hello\n"
        talker.sock.close()
    assert heard == [b"STARTTLS\n", b"hello\n"]


async def test_what_was_injected_before_the_switch_is_never_heard(
    own_certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "netkit.access")
    heard: list[bytes] = []
    async with netkit.serve(turning_to_tls(heard)) as server:
        talker = await Eager.connect(int(server.addresses[0].rpartition(":")[2]))
        talker.in_the_clear = b"STARTTLS\nDELETE everything\n"
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await talker.secure(ssl.create_default_context(cafile=own_certificates / "ca.pem"))
        talker.sock.close()
    assert heard == [b"STARTTLS\n"]
    assert "SSL" in caplog.text
