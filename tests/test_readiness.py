"""Connecting without a transport, on both loops."""

from __future__ import annotations

import asyncio
import errno
import socket
from pathlib import Path

import pytest

from netkit.readiness import connect


def not_waiting(family: int = socket.AF_INET) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    return sock


async def test_a_socket_is_connected() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, not_waiting() as sock:
        await connect(sock, listener.getsockname())
        theirs, name = listener.accept()
        with theirs:
            assert name == sock.getsockname()
        assert not asyncio.get_running_loop().remove_writer(sock.fileno())


async def test_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = listener.getsockname()
    with not_waiting() as sock, pytest.raises(ConnectionRefusedError):
        await connect(sock, where)


async def test_a_unix_socket_whose_queue_is_full_is_not_connected(tmp_path: Path) -> None:
    with not_waiting(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "full"))
        listener.listen(0)
        with not_waiting(socket.AF_UNIX) as first, not_waiting(socket.AF_UNIX) as second:
            await connect(first, listener.getsockname())
            with pytest.raises(BlockingIOError) as found:
                await connect(second, listener.getsockname())
            assert found.value.errno == errno.EAGAIN
