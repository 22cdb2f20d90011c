"""``netkit ctl`` against real servers."""

from __future__ import annotations

import asyncio
import json
import signal
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from pathlib import Path

import pytest

from tests.runtime.process import COMMAND, LOOPS, serving
from tests.workers.crew import ON_TCP, WHO, replaced, serves, workers

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),
    pytest.mark.parametrize("loop", LOOPS),
]


@pytest.fixture
def app(tmp_path: Path) -> str:
    path = tmp_path / "app.py"
    path.write_text(WHO)
    return f"{path}:handle"


async def ctl(verb: str, *words: object) -> tuple[int, str]:
    """Status of ``netkit ctl``, and what it says."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "ctl", verb, *map(str, words), stdin=DEVNULL, stdout=PIPE, stderr=PIPE
    )
    said, complaint = await process.communicate()
    assert process.returncode is not None
    return process.returncode, (said + complaint).decode()


async def test_a_crew(loop: str, app: str, tmp_path: Path) -> None:
    admin = f"unix:{tmp_path}/admin.sock"
    async with serving(app, *ON_TCP, "--workers", 2, "--admin", admin, loop=loop) as server:
        talker, pid = await serves(server.ports[0])
        own = "{}:{}".format(*talker.sock.getsockname())
        status, text = await ctl("list", admin)
        assert status == 0
        assert text.splitlines()[0].split() == ["WORKER", "ID", "PEER", "AGE", "IN", "OUT", "TLS"]
        assert f"  {own}  " in text
        _, text = await ctl("tasks", admin)
        assert "handle() in app.py:" in text
        assert "readline() in streams.py:" in text
        ((listed),) = [
            each
            for each in json.loads((await ctl("list", admin, "--json"))[1])
            if each["pid"] == pid
        ]
        assert await ctl("kick", admin, listed["worker"], listed["id"]) == (0, "cut\n")
        with suppress(ConnectionResetError):
            assert await talker.read() == b""
        talker.sock.close()
        assert await ctl("scale", admin, 3) == (0, "workers: 3\n")
        before = workers(server)
        assert len(before) == 3
        assert await ctl("reload", admin) == (0, "reloading\n")
        await server.logged("reloaded 3 workers")
        await replaced(server, before, 3)
        assert await ctl("drain", admin) == (0, "draining\n")
        assert await server.ended() == -signal.SIGTERM


async def test_what_cannot_be_is_one_line(loop: str, app: str, tmp_path: Path) -> None:
    admin = f"unix:{tmp_path}/admin.sock"
    status, text = await ctl("list", admin)
    assert (status, len(text.splitlines())) == (1, 1)
    assert "No such file or directory; is a server there" in text
    async with serving(app, *ON_TCP, "--admin", admin, loop=loop):
        for words, says in (
            (("kick", admin, 0, 7), "no connection 7 of worker 0"),
            (("scale", admin, 2), "not scaled: one process"),
            (("scale", admin, 0), "give ?workers=NUMBER, 1 to"),
            (("list", "udp://127.0.0.1:1"), "an admin address is unix:PATH or HOST:PORT"),
        ):
            status, text = await ctl(*words)
            assert (status, len(text.splitlines())) == (2, 1), text
            assert says in text
    async with serving(app, *ON_TCP, "--admin", "127.0.0.1:0", loop=loop) as server:
        (line,) = await server.logged("admin on ")
        status, text = await ctl("reload", line.rpartition(" ")[2])
        assert status == 2
        assert "it changes nothing over TCP; give the server's unix: address" in text
