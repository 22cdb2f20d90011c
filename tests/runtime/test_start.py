"""How a server process starts, in an ordinary and in a poor environment."""

from __future__ import annotations

import signal

import pytest

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
