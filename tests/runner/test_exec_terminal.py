"""``netkit exec -t``: a terminal there, and the one that a person sits at here."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import subprocess
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.forked import signalled
from tests.runner.executing import at
from tests.runner.talking import listed, running, shell
from tests.runtime.process import COMMAND, LOOPS

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),  # of the test itself, and its server
    pytest.mark.parametrize("loop", LOOPS),
]


async def test_a_terminal(tmp_path: Path, loop: str) -> None:
    script = (
        'stty size; while test "$(stty size)" = "30 99"; do sleep 0.05; done; stty size; '
        'read x; echo "got $x"; exit 4'
    )
    path = listed(tmp_path, shell("tty", script, "terminal = true\n"))
    async with running(path) as server:
        with Sitting(rows=30, columns=99) as person:
            async with executing_at(person, "-t", at(server), "tty", loop=loop) as process:
                await person.sees(b"30 99")
                person.resizes(20, 60)
                signalled(process, signal.SIGWINCH)  # as to the group in front of a terminal
                await person.sees(b"20 60")
                person.types(b"hello\r")
                await person.sees(b"got hello")
                assert await process.wait() == 4
            assert person.is_as_before()


async def test_ctrl_c_on_a_terminal_is_the_programs(tmp_path: Path, loop: str) -> None:
    path = listed(tmp_path, shell("sleep", "echo ready; exec sleep 60", "terminal = true\n"))
    async with running(path) as server:
        with Sitting() as person:
            async with executing_at(person, "-t", at(server), "sleep", loop=loop) as process:
                await person.sees(b"ready")
                person.types(b"\x03")
                assert await process.wait() == 130
            assert person.is_as_before()


async def test_a_terminal_can_be_left(tmp_path: Path, loop: str) -> None:
    script = "trap '' INT; echo ready; while :; do sleep 1; done"
    path = listed(tmp_path, shell("deaf", script, "terminal = true\ngrace = 0.1\n"))
    async with running(path) as server:
        with Sitting() as person:
            async with executing_at(person, "-t", at(server), "deaf", loop=loop) as process:
                await person.sees(b"ready")
                person.types(b"\x03\r~.")
                assert await process.wait() == 255
                await person.sees(b"left by ~.")
            assert person.is_as_before()
        server.hurry()


@asynccontextmanager
async def executing_at(person: Sitting, *words: object, loop: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "exec", "--loop", loop, *map(str, words), stdin=person.line, stdout=person.line,
        stderr=person.line, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        signalled(process, signal.SIGKILL)
        await process.wait()


class Sitting:
    """Somebody at a terminal."""

    def __init__(self, rows: int = 24, columns: int = 80) -> None:
        self._size = rows, columns

    def __enter__(self) -> Sitting:
        self.screen, self.line = pty.openpty()
        self.resizes(*self._size)
        self._before = self._settings()
        self._seen = b""
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.screen)
        os.close(self.line)

    def resizes(self, rows: int, columns: int) -> None:
        size = ["rows", str(rows), "cols", str(columns)]
        subprocess.run(["stty", *size], stdin=self.line, check=True)

    def types(self, keys: bytes) -> None:
        os.write(self.screen, keys)

    async def sees(self, text: bytes) -> None:
        while text not in self._seen:
            self._seen += await asyncio.to_thread(os.read, self.screen, 65_536)
        self._seen = self._seen.partition(text)[2]

    def is_as_before(self) -> bool:
        """Whether the terminal does again what it did."""
        return self._settings() == self._before

    def _settings(self) -> bytes:
        return subprocess.run(["stty", "-g"], stdin=self.line, check=True, stdout=PIPE).stdout
