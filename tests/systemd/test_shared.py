"""A socket that cannot be doubled is every worker's."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.runtime.process import LOOPS, serving
from tests.workers.crew import WHO, workers

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio"])


async def who(path: Path) -> int:
    reader, writer = await asyncio.open_unix_connection(path)
    pid = int(await reader.readline())
    writer.close()
    await writer.wait_closed()
    return pid


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_unix_socket(loop: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(WHO)
    path = tmp_path / "app.sock"
    words = (f"{tmp_path}/app.py:handle", "--uds", path, "--workers", 2)
    async with serving(*words, loop=loop) as server:
        one, other = workers(server)
        for still, serving_pid in ((one, other), (other, one)):
            os.kill(still, signal.SIGSTOP)
            assert await who(path) == serving_pid
            os.kill(still, signal.SIGCONT)
        server.signal(signal.SIGTTOU)
        await server.logged(" 1 worker")
        assert await who(path) in {one, other, *workers(server)}
        assert await server.stop() == -signal.SIGTERM
        assert not path.exists()
        assert not server.complaints("warning", "error")
