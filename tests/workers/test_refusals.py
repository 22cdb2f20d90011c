"""What several workers cannot do is said in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtime.test_options import refusal

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("echo", "--workers", "0"), "--workers 0: give a number from 1 up, or auto"),
        (("echo", "--workers", "two"), "--workers two: give a number from 1 up, or auto"),
        (("chat", "--workers", "2"), "--workers 2: chat keeps its state in one process"),
        (("echo", "--workers", "2", "--worker-timeout", "1"), "--worker-timeout 1: give at least"),
        (("echo", "--workers", "2", "--worker-max-age", "-1"), "--worker-max-age -1: give 0"),
    ],
)
async def test_options(arguments: tuple[str, ...], says: str) -> None:
    assert says in await refusal(*arguments)


SERVICE = """
from dataclasses import dataclass
import netkit

@dataclass
class Fails(netkit.Service):
    async def __aenter__(self):
        raise RuntimeError("no database")
    async def handle(self, reader, writer):
        pass
"""


async def test_no_worker_can_start(tmp_path: Path) -> None:
    """The reason comes once, and no other worker is tried."""
    (tmp_path / "app.py").write_text(SERVICE)
    line = await refusal(
        f"{tmp_path}/app.py:Fails", "--port", 0, "--workers", 4, status=3, folder=tmp_path
    )
    assert "Fails could not start: RuntimeError: no database" in line
