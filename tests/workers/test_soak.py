"""A short run of `soak`; the long one is a command of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtime.process import LOOPS
from tests.workers.soak import soak

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio"])

FATES = {"served", "accepted by a killed worker", "reloads", "kills"}


@pytest.mark.parametrize("loop", LOOPS)
async def test_nobody_is_refused_or_lost(loop: str, tmp_path: Path) -> None:
    counts = await soak(tmp_path, loop, seconds=5, seed=3)
    assert set(counts) <= FATES
    assert counts["served"] > 100
    assert counts["reloads"]
    assert counts["kills"]
