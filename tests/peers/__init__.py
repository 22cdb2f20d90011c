"""Programs that we did not write, used as the other side in tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import NoReturn

import pytest


def peer(program: str) -> str:
    """Path of a peer program; where it is absent the test is skipped, but fails under CI."""
    path = shutil.which(program)
    if path is None:
        missing(program)
    return path


def perl_module(name: str) -> None:
    """The same for a module that a peer in Perl needs."""
    perl = [peer("perl"), f"-M{name}", "-e", "1"]
    if subprocess.run(perl, capture_output=True, check=False).returncode:
        missing(name)


def missing(what: str) -> NoReturn:
    """Skip the test, or fail it under CI."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is not installed: add its package to .ci/run")
    pytest.skip(f"{what} is not installed")
