"""``--reload``: a saved source file is served within a moment."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.runtime.process import LOOPS, serving
from tests.runtime.talkers import Talker
from tests.workers.crew import ON_TCP

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),
    pytest.mark.parametrize("loop", LOOPS),
]

SAYS = """
async def handle(reader, writer):
    writer.write({!r})
"""


async def said(port: int) -> bytes:
    """What the server says to a newcomer."""
    talker = await Talker.connect(port)
    answer = b""
    while data := await talker.read():
        answer += data
    talker.sock.close()
    return answer


async def test_a_source_of_the_same_second_and_size_is_served(
    loop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By these two Python tells whether the bytecode that it keeps is a source's own."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    source, saved = tmp_path / "app.py", tmp_path / "saved"
    source.write_text(SAYS.format(b"one"))
    words = (f"{source}:handle", *ON_TCP, "--reload", "--reload-dir", tmp_path)
    async with serving(*words, loop=loop) as server:
        assert await said(server.ports[0]) == b"one"
        saved.write_text(SAYS.format(b"two"))
        shutil.copystat(source, saved)
        saved.replace(source)
        await server.logged("reloaded 1 worker")
        assert await said(server.ports[0]) == b"two"


async def test_a_saved_source_is_served(loop: str, tmp_path: Path) -> None:
    source = tmp_path / "app.py"
    source.write_text(SAYS.format(b"one"))
    words = (f"{source}:handle", *ON_TCP, "--reload", "--reload-dir", tmp_path)
    async with serving(*words, loop=loop) as server:
        assert await said(server.ports[0]) == b"one"
        source.write_text(SAYS.format(b"two"))
        await server.logged("changed: app.py")
        await server.logged("reloaded 1 worker")
        assert await said(server.ports[0]) == b"two"
        source.write_text("def broken(")
        await server.logged("reload given up")
        assert await said(server.ports[0]) == b"two"
        source.write_text(SAYS.format(b"three"))
        await server.logged("reloaded 1 worker", 2)
        assert await said(server.ports[0]) == b"three"
