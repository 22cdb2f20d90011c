"""A handler that turns to TLS in the middle, as mail and IRC servers do (STARTTLS)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

import netkit
from netkit.options import TLS


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
