"""Both ways to start children, and nothing left of any."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from netkit.subprocesses.children import Spawner
from netkit.subprocesses.helpers import Helpers
from netkit.subprocesses.plain import Plain


@pytest_asyncio.fixture(params=["helpers", "plain"])
async def spawner(request: pytest.FixtureRequest) -> AsyncIterator[Spawner]:
    """Either way."""
    way: Spawner = Helpers(1) if request.param == "helpers" else Plain()
    yield way
    await way.close()


@pytest_asyncio.fixture
async def helpers() -> AsyncIterator[Helpers]:
    """Spawn helpers, for what only they can do."""
    way = Helpers(1)
    yield way
    await way.close()


@pytest.fixture(autouse=True)
def no_child_left() -> Iterator[None]:
    """Fail a test that leaves a child of ours, running or a zombie."""
    before = children(os.getpid())
    yield
    left = children(os.getpid()) - before
    assert not left, f"children left: {[Path(f'/proc/{pid}/stat').read_text() for pid in left]}"


def children(parent: int) -> set[int]:
    """Processes whose parent this is."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text()
            except OSError:  # it has gone meanwhile
                continue
            if int(stat.rpartition(")")[2].split()[1]) == parent:
                found.add(int(folder.name))
    return found
