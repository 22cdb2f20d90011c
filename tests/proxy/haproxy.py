"""haproxy as a process of its own, in TCP mode, on sockets that the test has bound."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.forked import signalled
from tests.peers import peer

SETTINGS = """
global
    maxconn 100
defaults
    mode tcp
    timeout connect 10s
    timeout client 30s
    timeout server 30s
    timeout check 10s
    unique-id-format %ci:%cp
listen front
    bind fd@{descriptor}
    server netkit {server}
    {more}
"""


@asynccontextmanager
async def haproxy(
    server: str, folder: Path, listening: socket.socket, more: str = ""
) -> AsyncIterator[None]:
    """Relay what comes to a listening socket to a server, as its ``server`` line and `more` say.

    The socket may be connected to at once: the kernel holds newcomers until haproxy accepts.
    """
    config = folder / "haproxy.cfg"
    descriptor = listening.fileno()
    config.write_text(SETTINGS.format(descriptor=descriptor, server=server, more=more))
    process = await asyncio.create_subprocess_exec(
        peer("haproxy"), "-q", "-db", "-f", config,
        pass_fds=[descriptor], stdin=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        signalled(process, signal.SIGKILL)
        await process.wait()


def listening_socket(family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    """A listening socket on loopback; the caller closes it."""
    sock = socket.socket(family)
    sock.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    sock.listen()
    return sock
