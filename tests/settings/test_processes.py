"""Processes that are run by a file; workers, which read it again."""

from __future__ import annotations

import asyncio
import signal
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

import pytest

from tests.runtime.process import COMMAND, LOOPS, serving
from tests.runtime.talkers import Talker
from tests.runtime.test_options import refusal
from tests.workers.crew import replaced, workers

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio"])

SERVICE = """
from dataclasses import dataclass
import netkit


@dataclass
class Says(netkit.Service):
    word: str = ""

    async def handle(self, reader, writer):
        writer.write(self.word.encode())
"""
FILE = """
target = "says.py:Says"
workers = 2
bind = ["tcp://127.0.0.1:0"]
word = "{word}"
"""


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "says.py").write_text(SERVICE)
    file = tmp_path / "says.toml"
    file.write_text(FILE.format(word="one"))
    return file


async def word(port: int) -> str:
    """What a server on this port says until it closes."""
    talker = await Talker.connect(port)
    said = b""
    while data := await talker.read():
        said += data
    talker.sock.close()
    return said.decode()


async def test_a_reload_takes_what_the_file_says_now(loop: str, file: Path) -> None:
    async with serving("--config", file, loop=loop) as server:
        port, before = server.ports[0], workers(server)
        assert len(before) == 2
        assert {await word(port) for _ in range(20)} == {"one"}
        file.write_text(FILE.format(word="two"))
        server.signal(signal.SIGHUP)
        await server.logged("reloaded 2 workers")
        await replaced(server, before, 2)
        assert {await word(port) for _ in range(20)} == {"two"}
        assert not server.complaints("warning", "error")


async def test_a_broken_file_leaves_the_old_workers(loop: str, file: Path) -> None:
    async with serving("--config", file, loop=loop) as server:
        before = workers(server)
        file.write_text(FILE.format(word="two") + "wrod = 1\n")
        server.signal(signal.SIGHUP)
        await server.logged("reload given up")
        (line,) = await server.logged("wrod")
        assert f"{file}: wrod: " in line
        assert line.endswith("did you mean word?")
        assert workers(server) == before
        assert await word(server.ports[0]) == "one"


async def test_what_a_reload_cannot_change_is_said(loop: str, file: Path) -> None:
    async with serving("--config", file, loop=loop) as server:
        changed = FILE.format(word="two").replace("workers = 2", "workers = 3\nbacklog = 5")
        file.write_text(changed)
        server.signal(signal.SIGHUP)
        await server.logged("reloaded 2 workers")
        lines = await server.logged("backlog, workers: changed, but not by a reload; restart", 2)
        assert len(lines) == 2


async def test_a_server_by_its_file_alone(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text('target = "echo"\nbind = ["tcp://127.0.0.1:0", "unix:x.sock"]\n')
    async with serving("--config", file, loop="asyncio") as server:
        await server.logged(f"listening on unix:{file.parent}/x.sock")
        assert len(server.urls) == 2


async def test_a_file_that_does_not_fit_is_one_line(file: Path) -> None:
    file.write_text("port = '1'\n")
    assert f"{file}: port: give a whole number" in await refusal("echo", "--config", file)


async def test_nowhere_to_print() -> None:
    with Path("/dev/full").open("wb") as full:
        process = await asyncio.create_subprocess_exec(
            *COMMAND, "serve", "echo", "--dump-config", stdin=DEVNULL, stdout=full, stderr=PIPE
        )
        _, errors = await process.communicate()
    assert process.returncode == 1
    said = b"netkit: error: --dump-config: standard output: No space left on device\n"
    assert errors == said
