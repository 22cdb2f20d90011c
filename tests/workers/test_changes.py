"""Changes that are asked for while another is under way, with real processes."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.commands import netkit_beside
from tests.runtime.process import LOOPS, serving
from tests.runtime.talkers import Talker
from tests.workers.crew import ON_TCP, workers

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),
    pytest.mark.parametrize("loop", LOOPS),
]

GATED = """
from pathlib import Path

VERSION = b"{version}"
gate = Path(__file__).with_name("gate")
if gate.exists():
    gate.read_bytes()  # a pipe: this start lasts as long as the test wants


async def handle(reader, writer):
    "Say which version serves."
    writer.write(VERSION)
    await writer.drain()
"""


class Gate:
    """Holds up every start of the server until it is opened."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "gate"
        os.mkfifo(self._path)
        self._pipe = -1

    async def reached(self) -> None:
        """Wait until a start stands before it."""
        while self._pipe < 0:
            try:
                self._pipe = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:  # ENXIO: nobody reads
                await asyncio.sleep(0.01)  # other processes have no event for us

    def open(self) -> None:
        """Let it go on, and whatever starts after it."""
        self._path.unlink()
        os.close(self._pipe)


async def versions(port: int, count: int = 10) -> set[bytes]:
    """What so many newcomers are told."""
    told = set()
    for _ in range(count):
        talker = await Talker.connect(port)
        told.add(await talker.read())
        talker.sock.close()
    return told


@pytest.mark.parametrize("by", ["signal", "ctl"])
async def test_of_many_reloads_asked_for_during_one_a_single_one_follows(
    loop: str, by: str, tmp_path: Path
) -> None:
    app, admin = tmp_path / "app.py", f"unix:{tmp_path}/admin.sock"
    app.write_text(GATED.format(version=1))
    watched = ("--admin", admin) if by == "ctl" else ()
    words = (f"{app}:handle", *ON_TCP, "--workers", 2, *watched)
    async with serving(*words, loop=loop) as server:
        gate = Gate(tmp_path)
        server.signal(signal.SIGHUP)
        await gate.reached()  # with the old version
        app.write_text(GATED.format(version=2))
        if by == "ctl":
            for _ in range(2):
                ended = await netkit_beside("ctl", "reload", admin)
                assert (ended.status, ended.output) == (0, "reloading\n")
        else:
            for _ in range(50):
                server.signal(signal.SIGHUP)
                await asyncio.sleep(0.001)  # signals of one kind that wait are one
        server.signal(signal.SIGTTIN)
        gate.open()
        await server.logged(" 3 workers")
        assert len(await server.logged("reloaded")) == 2
        assert await versions(server.ports[0]) == {b"2"}
        assert not server.complaints("warning", "error")


async def test_each_of_several_quick_ttin_counts(loop: str, tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text(GATED.format(version=1))
    async with serving(f"{app}:handle", *ON_TCP, "--workers", 2, loop=loop) as server:
        gate = Gate(tmp_path)
        server.signal(signal.SIGTTIN)
        await gate.reached()  # one is being added
        server.signal(signal.SIGTTIN)
        gate.open()
        await server.logged(" 4 workers")
        assert len(workers(server)) == 4
