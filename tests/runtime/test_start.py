"""How a server process starts, in an ordinary and in a poor environment."""

from __future__ import annotations

import signal
import ssl
from pathlib import Path

import pytest

from netkit.certificates.develop import development
from netkit.certificates.issuing import issue
from tests.runtime.process import LOOPS, serving
from tests.runtime.talkers import Talker

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),
    pytest.mark.parametrize("loop", LOOPS),
]


async def test_closed_standard_descriptors(loop: str) -> None:
    """Sockets must not get their numbers: libuv aborts when it closes such a one."""
    closed = ("sh", "-c", 'exec "$@" <&- >&-', "sh")
    async with serving("echo", "--bind", "tcp://127.0.0.1:0", loop=loop, before=closed) as server:
        for _ in range(2):
            talker = await Talker.connect(server.ports[0])
            await talker.write(b"hello")
            assert await talker.read() == b"hello"
            talker.sock.close()
        assert await server.stop() == -signal.SIGTERM


async def test_an_unreadable_host_name_is_one_line(loop: str, own_certificates: Path) -> None:
    ours, other = development(), issue(["other.localhost"])
    flags = ["--ssl-certfile", ours.cert, "--ssl-keyfile", ours.key]
    flags += ["--ssl-certfile", other.cert, "--ssl-keyfile", other.key]
    async with serving("echo", "--bind", "tls://127.0.0.1:0", *flags, loop=loop) as server:
        talker = await Talker.connect(server.ports[0])
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=own_certificates / "ca.pem")
        with pytest.raises(ssl.SSLWantReadError):
            context.wrap_bio(incoming, outgoing, server_hostname="aalocalhost").do_handshake()
        await talker.write(outgoing.read().replace(b"aalocalhost", b"\xff\xfelocalhost"))
        (line,) = await server.logged("TLS handshake failed")
        assert "the client asked for a host name that is not ASCII" in line
        talker.sock.close()
        assert await server.stop() == -signal.SIGTERM
        assert not server.complaints("Exception ignored", "Unicode")
