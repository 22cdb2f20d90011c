"""What tests of commands that run together share."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.run.together.side_by_side import Console, Witness, witness


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(tmp_path)


@pytest.fixture
def holders(tmp_path: Path) -> Iterator[Witness]:
    with witness(tmp_path / "witness") as it:
        yield it


@pytest_asyncio.fixture
async def loop() -> str:
    """The name of the test's own, for processes that it starts."""
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]
