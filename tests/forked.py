"""Commands as processes, without a start of Python for each: forked from one that has netkit.

A process of its own with its own descriptors, signals and loop it is all the same; only what
importing does is not repeated. Some tests of each command start it as a person would.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import pytest

_context: ForkServerContext = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.preloaded"])


@pytest.fixture(scope="session", autouse=True)
def forks() -> None:
    """Start the server of forks before any test counts its descriptors."""
    process = _context.Process(target=int)
    process.start()
    process.join()
    process.close()


def netkit(words: Sequence[str | bytes], stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run ``netkit …`` to its end, in our folder and environment."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("in", "out", "err")]
        files[0].write_bytes(stdin)
        process = _context.Process(
            target=_main,
            args=(list(map(os.fsdecode, words)), files, str(Path.cwd()), dict(os.environ)),
        )
        process.start()
        process.join()
        status = process.exitcode
        process.close()
        assert status is not None
        out, err = (file.read_bytes() for file in files[1:])
    return subprocess.CompletedProcess(list(words), status, out, err)


class Forked:
    """``netkit …`` under way, with what of `asyncio.subprocess.Process` is needed of it."""

    def __init__(self, process: ForkServerProcess, pipes: Sequence[asyncio.StreamReader]) -> None:
        assert process.pid is not None
        self._process = process
        self.pid = process.pid
        self.returncode: int | None = None
        self.stdin: asyncio.StreamWriter | None = None
        self.stderr, *others = pipes
        self.stdout = others[0] if others else None

    @classmethod
    async def start(
        cls, words: Sequence[str], *, stdout: bool = False, folder: Path | None = None
    ) -> Forked:
        """Run it, here or in `folder`; its standard input is empty.

        Its output goes where ours goes, unless there is to be a pipe for it.
        """
        pipes = [os.pipe() for _ in range(1 + stdout)]
        ends = [Connection(end, readable=False) for _, end in pipes]
        process = _context.Process(
            target=_start, args=(list(words), ends, str(folder or Path.cwd()), dict(os.environ))
        )
        process.start()
        for end in ends:
            end.close()
        return cls(process, [await _read(end) for end, _ in pipes])

    async def wait(self) -> int:
        """Wait for its end; return its status, negative for the signal that it died by."""
        if self.returncode is None:
            loop = asyncio.get_running_loop()
            over = asyncio.Event()
            loop.add_reader(self._process.sentinel, over.set)
            try:
                await over.wait()
            finally:
                loop.remove_reader(self._process.sentinel)
            self.returncode = self._process.exitcode
            self._process.close()
        assert self.returncode is not None
        return self.returncode

    async def communicate(self) -> tuple[bytes, bytes]:
        """All that is left of its output and errors, and its end."""
        out = self.stdout.read() if self.stdout is not None else _nothing()
        output, errors, _ = await asyncio.gather(out, self.stderr.read(), self.wait())
        return output, errors


def signalled(process: Process | Forked, number: signal.Signals) -> None:
    """Send it a signal, if it has not ended."""
    # Not asyncio's send_signal() or kill(): before Python 3.13 they may reap a process that
    # has just ended, and its status is lost (CPython issue 87744).
    if process.returncode is None:
        with suppress(ProcessLookupError):  # a Forked is no child of ours, kept until we wait
            os.kill(process.pid, number)


async def _nothing() -> bytes:
    return b""


class _Pipe(asyncio.StreamReaderProtocol):
    def eof_received(self) -> bool:
        super().eof_received()
        return False  # else uvloop keeps the pipe open


async def _read(end: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=1_048_576)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: _Pipe(reader), os.fdopen(end, "rb"))
    return reader


def _start(
    words: list[str], ends: list[Connection], folder: str, variables: dict[str, str]
) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    for end, number in zip(ends, (2, 1), strict=False):
        os.dup2(end.fileno(), number)
        end.close()
    _run(words, folder, variables)


def _main(words: list[str], files: list[Path], folder: str, variables: dict[str, str]) -> None:
    for number, (file, flags) in enumerate(
        zip(files, (os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT), strict=True)
    ):
        fd = os.open(file, flags, 0o600)
        os.dup2(fd, number)
        os.close(fd)
    _run(words, folder, variables)


def _run(words: list[str], folder: str, variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    sys.argv[1:] = words
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  # multiprocessing has closed it
    from netkit.cli import main

    main(words)
