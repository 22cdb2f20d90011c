"""Every kind of target, on every kind of address, in this process."""

from __future__ import annotations

import asyncio
import socket
import ssl
import stat
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

import netkit
from netkit.servers.echo import Echo, EchoDatagrams, EchoProtocol, echo
from tests.runtime.talkers import Talker


class BufferedEcho(asyncio.BufferedProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert hasattr(transport, "write")
        self.write = transport.write
        self.buffer = bytearray(16)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.write(bytes(self.buffer[:nbytes]))


class Upgrading(asyncio.Protocol):
    """Hands the transport to another protocol at the first byte, as STARTTLS and SOCKS do."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        after = EchoProtocol()
        self.transport.set_protocol(after)
        after.connection_made(self.transport)
        after.data_received(data)


async def partial_echo(
    greeting: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await echo(reader, writer)


def make_protocol() -> asyncio.Protocol:
    return EchoProtocol()


STREAMS: Sequence[object] = (
    echo,
    partial(partial_echo, b""),
    EchoProtocol,
    make_protocol,
    BufferedEcho,
    Upgrading,
    Echo,
    Echo(api="streams"),
    "echo",
    "netkit.servers.echo:EchoProtocol",
)
NAMES = [
    "handler",
    "partial",
    "Protocol",
    "factory",
    "BufferedProtocol",
    "set_protocol",
    "Service",
    "instance",
    "name",
    "module",
]


def port(address: str) -> int:
    return int(address.rpartition(":")[2])


async def say(address: str, words: bytes, context: ssl.SSLContext | None = None) -> bytes:
    """What comes back for a line, to the end of the server's output."""
    if address.startswith("unix:"):
        reader, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
    else:
        host = "::1" if "[::1]" in address else "127.0.0.1"
        name = "localhost" if context else None
        reader, writer = await asyncio.open_connection(
            host, port(address), ssl=context, server_hostname=name
        )
    writer.write(words)
    answer = await reader.readexactly(len(words))
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize("target", STREAMS, ids=NAMES)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_streams(target: object, tls: bool, own_certificates: Path) -> None:
    async with netkit.serve(target, tls=tls) as server:
        address = next(each for each in server.addresses if not each.startswith("udp"))
        context = ssl.create_default_context(cafile=own_certificates / "ca.pem") if tls else None
        assert await say(address, b"a line of more than sixteen bytes\n", context) == (
            b"a line of more than sixteen bytes\n"
        )


@pytest.mark.parametrize("target", [EchoDatagrams, lambda: EchoDatagrams(), Echo])
async def test_datagrams(target: object) -> None:
    async with netkit.serve(target, bind="udp://127.0.0.1:0") as server:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.connect(("127.0.0.1", port(server.addresses[0])))
            await loop.sock_sendall(sock, b"hello")
            assert await loop.sock_recv(sock, 100) == b"hello"


async def test_several_addresses(tmp_path: Path, own_certificates: Path) -> None:
    path = tmp_path / "x.sock"
    binds = ["tcp://127.0.0.1:0", "tcp://[::1]:0", "tls://127.0.0.1:0", f"unix:{path}"]
    async with netkit.serve(echo, bind=binds, tls=True) as server:
        context = ssl.create_default_context(cafile=own_certificates / "ca.pem")
        assert len(server.addresses) == 4
        for address in server.addresses:
            secure = context if address.startswith("tls") else None
            assert await say(address, b"hello\n", secure) == b"hello\n"


async def test_a_unix_socket_is_its_owners_and_goes_with_the_server(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with socket.socket(socket.AF_UNIX) as stale:  # a server that died without cleaning up
        stale.bind(str(path))
    assert path.exists()
    async with netkit.serve(echo, bind=f"unix:{path}") as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert await say(server.addresses[0], b"hello\n") == b"hello\n"
    assert not path.exists()


class FailsAtOnce(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        raise LookupError("at once")


class FailsAtData(asyncio.Protocol):
    def data_received(self, data: bytes) -> None:
        raise LookupError("at data")


async def fails(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    raise LookupError("in the handler")


@pytest.mark.parametrize("target", [FailsAtOnce, fails], ids=["connection_made", "handler"])
async def test_an_error_ends_its_connection_alone(
    target: object, caplog: pytest.LogCaptureFixture
) -> None:
    async with netkit.serve(target) as server:
        for number in (1, 2):
            talker = await Talker.connect(port(server.addresses[0]))
            await talker.write(b"hello\n")
            with suppress(ConnectionResetError):  # if our line was unread by then
                assert await talker.read() == b""
            talker.sock.close()
            errors = [each for each in caplog.records if each.levelname == "ERROR"]
            assert len(errors) == number
            assert errors[-1].exc_info


async def test_a_certificate_is_replaced_while_connections_stay_open(
    own_certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netkit.sweep.PERIOD", 0.01)
    made = netkit.TLS(tls=True)
    async with netkit.serve(echo, bind="tls://127.0.0.1:0", tls=made) as server:
        where = port(server.addresses[0])
        context = ssl.create_default_context(cafile=own_certificates / "ca.pem")

        async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
            reader, writer = await asyncio.open_connection("localhost", where, ssl=context)
            return reader, writer, writer.get_extra_info("ssl_object").getpeercert(True)

        reader, writer, before = await connect()
        (own_certificates / "localhost.pem").unlink()
        netkit.TLS(tls=True).load()  # makes a new one
        now = before
        while now == before:
            _, other, now = await connect()
            other.close()
            await other.wait_closed()
        writer.write(b"still here\n")
        assert await reader.readline() == b"still here\n"
        writer.close()
        await writer.wait_closed()


async def test_port_0_is_reported() -> None:
    async with netkit.serve(echo, bind="127.0.0.1:0") as server:
        assert port(server.addresses[0]) > 0
