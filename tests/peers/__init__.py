"""Programs that we did not write, used as the other side in tests."""

from __future__ import annotations

import os
import shutil

import pytest


def peer(program: str) -> str:
    """Path of a peer program; where it is absent the test is skipped, but fails under CI."""
    path = shutil.which(program)
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(f"{program} is not installed: add its package to .ci/run")
        pytest.skip(f"{program} is not installed")
    return path
