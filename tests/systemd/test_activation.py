"""Sockets that systemd opened: from its own ``systemd-socket-activate``, and by hand."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from netkit.certificates.develop import development
from netkit.errors import UsageError
from netkit.systemd.activation import claim
from netkit.tls.client import client_context
from tests.peers import peer
from tests.runtime.process import COMMAND, LOOPS, ServerProcess
from tests.workers.crew import WHO, echoes, serves, workers

pytestmark = [pytest.mark.asyncio(loop_factories=["asyncio"])]
both = pytest.mark.parametrize("loop", LOOPS)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
def app(tmp_path: Path) -> str:
    path = tmp_path / "app.py"
    path.write_text(WHO)
    return f"{path}:handle"


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """systemd-socket-activate takes no port 0."""
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        assert isinstance(port, int)
        return port


@asynccontextmanager
async def activated(
    options: list[str], *arguments: object, loop: str, listening: int = 1
) -> AsyncIterator[ServerProcess]:
    """``netkit serve …`` behind systemd-socket-activate, which waits for a first newcomer."""
    process = await asyncio.create_subprocess_exec(
        peer("systemd-socket-activate"), "--setenv=NETKIT_CERTS", *options,
        *COMMAND, "serve", *map(str, arguments), "--loop", loop,
        stdin=DEVNULL, stderr=PIPE,
    )  # fmt: skip
    server = ServerProcess(process)
    try:
        await server.logged("Listening on", listening)
        yield server
    finally:
        server.signal(signal.SIGKILL)
        await server.ended()


async def said(streams: Streams, line: bytes = b"hello\n") -> bytes:
    """What an echo server answers; the connection is closed."""
    reader, writer = streams
    writer.write(line)
    try:
        return await reader.readline()
    finally:
        writer.close()
        await writer.wait_closed()


@both
@pytest.mark.parametrize("count", [1, 2])
async def test_a_tcp_socket(loop: str, count: int, app: str) -> None:
    port = free_port()
    listen = [f"--listen=127.0.0.1:{port}"]
    async with activated(listen, app, "--workers", count, loop=loop) as server:
        # The newcomer that woke it is served: it waited in the queue.
        talker, first = await serves(port)
        assert await echoes(talker)
        talker.sock.close()
        await server.logged("listening on")
        assert server.urls == [f"tcp://127.0.0.1:{port}"]
        if count == 2:
            await each_serves_alone(server, port)
        else:
            assert first == server.process.pid
        variables = Path(f"/proc/{first}/environ").read_bytes()
        assert (b"LISTEN_" in variables) == (count == 1)  # as started, for the one process
        assert await server.stop() == -signal.SIGTERM
        assert not server.complaints("warning", "error")


async def each_serves_alone(server: ServerProcess, port: int) -> None:
    """Every worker accepts from the one socket: it serves while the others stand still."""
    for pid in workers(server):
        others = workers(server) - {pid}
        for other in others:
            os.kill(other, signal.SIGSTOP)
        talker, found = await serves(port)
        assert found == pid
        talker.sock.close()
        for other in others:
            os.kill(other, signal.SIGCONT)


@both
@pytest.mark.parametrize("count", [1, 2])
async def test_a_udp_socket(loop: str, count: int) -> None:
    port = free_port(socket.SOCK_DGRAM)
    listen = ["--datagram", f"--listen=127.0.0.1:{port}"]
    async with activated(listen, "echo", "--tls", "--workers", count, loop=loop) as server:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.connect(("127.0.0.1", port))
            for word in (b"wake up", b"again"):
                sock.send(word)
                assert await asyncio.get_running_loop().sock_recv(sock, 100) == word
        await server.logged("listening on")
        assert server.urls == [f"udp://127.0.0.1:{port}"]


@both
@pytest.mark.parametrize("count", [1, 2])
async def test_names_choose_what_is_spoken(loop: str, count: int, tmp_path: Path) -> None:
    plain, secure, path = free_port(), free_port(), tmp_path / "echo.sock"
    listen = [
        f"--listen=127.0.0.1:{plain}",
        f"--listen=127.0.0.1:{secure}",
        f"--listen={path}",
        "--fdname=tcp:tls:unix",
    ]
    ca = development().ca
    words = ("echo", "--workers", count)
    async with activated(listen, *words, loop=loop, listening=3) as server:
        assert await said(await asyncio.open_connection("127.0.0.1", plain)) == b"hello\n"
        context = client_context(ca_certs=ca)
        streams = await asyncio.open_connection("localhost", secure, ssl=context)
        assert await said(streams) == b"hello\n"
        assert await said(await asyncio.open_unix_connection(path)) == b"hello\n"
        await server.logged("listening on", 3)
        tcp, tls, unix = server.urls
        assert (tcp, tls, unix) == (
            f"tcp://127.0.0.1:{plain}", f"tls://127.0.0.1:{secure}", f"unix:{path}"
        )  # fmt: skip
        assert await server.stop() == -signal.SIGTERM
        assert path.is_socket()  # its file is systemd's to remove


@both
@pytest.mark.parametrize("count", [1, 2])
async def test_without_such_a_name_tls_is_by_its_flag(loop: str, count: int) -> None:
    port = free_port()
    listen = [f"--listen=127.0.0.1:{port}", "--fdname=netkit-echo.socket"]
    ca = development().ca
    async with activated(listen, "echo", "--tls", "--workers", count, loop=loop):
        context = client_context(ca_certs=ca)
        streams = await asyncio.open_connection("localhost", port, ssl=context)
        assert await said(streams) == b"hello\n"


async def test_an_address_that_is_asked_for_goes_first() -> None:
    port = free_port()
    words = ("echo", "--bind", "tcp://127.0.0.1:0")
    async with activated([f"--listen=127.0.0.1:{port}"], *words, loop="asyncio") as server:
        with socket.create_connection(("127.0.0.1", port)):
            await server.logged("listening on")
        assert server.ports != [port]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--fdname=udp"], "descriptor 3 is named udp, but carries tcp; mend FileDescriptorName="),
        (["--accept"], "descriptor 3 (without name) does not listen; give the .socket unit"),
        (["--seqpacket"], "is a kind of socket that cannot be served; give the .socket unit"),
    ],
)
async def test_sockets_that_cannot_be_served(options: list[str], says: str, tmp_path: Path) -> None:
    where = f"127.0.0.1:{free_port()}"
    if "--seqpacket" in options:
        where = str(tmp_path / "sequence")
    async with activated([*options, f"--listen={where}"], "echo", loop="asyncio") as server:
        family = socket.AF_UNIX if "/" in where else socket.AF_INET
        kind = socket.SOCK_SEQPACKET if "/" in where else socket.SOCK_STREAM
        host, _, port = where.partition(":")
        with socket.socket(family, kind) as sock:
            sock.connect(where if "/" in where else (host, int(port)))
            (line,) = await server.logged("netkit: error:")
        assert says in line


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"LISTEN_FDS": "many"}, "LISTEN_FDS=many: systemd gives a number"),
        ({"LISTEN_FDS": "1", "LISTEN_FDNAMES": "a:b"}, "2 names for 1 descriptors"),
        ({"LISTEN_FDS": "999999"}, "Bad file descriptor"),
    ],
)
async def test_variables_that_contradict_each_other(more: dict[str, str], says: str) -> None:
    environment = {"LISTEN_PID": str(os.getpid()), **more}
    with pytest.raises(UsageError, match=says):
        claim(environment)
    assert environment == {}


async def test_what_means_another_process_is_removed_and_not_used() -> None:
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "tcp", "A": "b"}
    assert claim(environment) == []
    assert environment == {"A": "b"}
