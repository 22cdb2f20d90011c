"""Commands as processes, without a start of Python for each: forked from one that has netkit.

A process of its own with its own descriptors, signals and loop it is all the same; only what
importing does is not repeated. Some tests of each command start it as a person would.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

_context: ForkServerContext = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.preloaded"])


@pytest.fixture(scope="session", autouse=True)
def forks() -> None:
    """Start the server of forks before any test counts its descriptors: import it in a conftest."""
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


def _main(words: list[str], files: list[Path], folder: str, environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, (file, flags) in enumerate(
        zip(files, (os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT), strict=True)
    ):
        fd = os.open(file, flags, 0o600)
        os.dup2(fd, number)
        os.close(fd)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  # multiprocessing has closed it
    from netkit.cli import main

    main(words)
