"""A service that does something of its own accord."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

import netkit
from netkit.errors import NetkitError, UsageError
from tests.runtime.process import LOOPS

both_loops = pytest.mark.parametrize("loop", LOOPS)

LIMIT = 30.0
"""Seconds for a process to end, generously."""

SENDER = '''
import asyncio, sys
import netkit

class Sender(netkit.Service):
    """Does its work, hears of the drain, and leaves."""

    def listens(self):
        return ()

    async def run(self):
        self.drained = asyncio.Event()
        print("at work", flush=True)
        {work}
        print("done", flush=True)

    async def drain(self):
        self.drained.set()
'''


class Sender(netkit.Service):
    """Waits until it is told to end."""

    def __init__(self) -> None:
        self.told = asyncio.Event()
        self.saw = ""

    def listens(self) -> tuple[str, ...]:
        return ()

    async def run(self) -> None:
        try:
            await self.told.wait()
            self.saw = "told"
        except asyncio.CancelledError:
            self.saw = "cancelled"
            raise


def start(tmp_path: Path, loop: str, work: str) -> subprocess.Popen[str]:
    (tmp_path / "app.py").write_text(SENDER.format(work=work))
    command = [sys.executable, "-m", "netkit", "serve", "app.py:Sender", "--loop", loop]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True)


@both_loops
def test_its_end_is_the_servers_with_status_0(tmp_path: Path, loop: str) -> None:
    with start(tmp_path, loop, "pass") as process:
        output, errors = process.communicate(timeout=LIMIT)
    assert (process.returncode, output) == (0, "at work\ndone\n")
    assert "Traceback" not in errors


@both_loops
def test_it_may_finish_at_the_drain(tmp_path: Path, loop: str) -> None:
    with start(tmp_path, loop, "await self.drained.wait()") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        process.terminate()
        output, _ = process.communicate(timeout=LIMIT)
    assert (process.returncode, output) == (-15, "done\n")


@both_loops
def test_its_error_is_the_servers(tmp_path: Path, loop: str) -> None:
    refuse = "raise netkit.errors.NetworkError('nobody is there: call them')"
    with start(tmp_path, loop, f"import netkit.errors; {refuse}") as process:
        _, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 1
    assert errors.splitlines()[-1] == "netkit: error: nobody is there: call them"


@both_loops
def test_what_fails_in_it_is_told_with_its_traceback(tmp_path: Path, loop: str) -> None:
    with start(tmp_path, loop, "1 / 0") as process:
        _, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 1
    assert errors.count("Traceback") == 1
    assert errors.splitlines()[-1] == (
        "netkit: error: Sender ended: ZeroDivisionError: division by zero"
    )


async def test_it_is_cancelled_at_the_end_of_the_grace_period() -> None:
    sender = Sender()
    async with netkit.serve(sender, bind=(), grace=0.01) as server:
        assert server.addresses == []
        await asyncio.sleep(0)  # its turn to begin
    assert sender.saw == "cancelled"


async def test_done_waits_for_it() -> None:
    sender = Sender()
    async with netkit.serve(sender, bind=()) as server:
        sender.told.set()
        await server.done()
    assert sender.saw == "told"


async def test_done_raises_what_ended_it() -> None:
    class Failing(Sender):
        async def run(self) -> None:
            raise UsageError("--this: give that")

    async with netkit.serve(Failing(), bind=()) as server:
        with pytest.raises(NetkitError, match="--this: give that"):
            await server.done()


async def test_addresses_of_its_own_and_those_of_flags_are_served() -> None:
    class Listening(Sender):
        def listens(self) -> tuple[str, ...]:
            return ("tcp://127.0.0.1:0",)

        async def handle(
            self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None: ...

    async with netkit.serve(Listening(), bind="127.0.0.1:0", grace=0.01) as server:
        assert len(server.addresses) == 2
