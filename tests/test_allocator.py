"""Reads find their memory in the heap, whatever the process has done before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from netkit import allocator
from tests.runtime.process import LOOPS, serving
from tests.runtime.talkers import Talker

READING = """
import os, resource
from netkit.allocator import keep_reads

here, there = os.pipe()

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(1000):
        os.write(there, b"short")
        os.read(here, 256 * 1024)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults(), keep_reads({}), faults())
"""


def test_reads_have_no_page_faults() -> None:
    # By this variable glibc's limit stays where it is: no luck.
    environment = {"MALLOC_MMAP_THRESHOLD_": str(128 * 1024)}
    done = subprocess.run(
        [sys.executable, "-c", READING], env=environment, capture_output=True, text=True, check=True
    )
    before, kept, after = done.stdout.split()
    assert int(before) >= 1000
    assert kept == "True"
    assert int(after) < 100


@pytest.mark.parametrize(
    "chosen",
    [
        {"MALLOC_MMAP_THRESHOLD_": "1"},
        {"MALLOC_TRIM_THRESHOLD_": "1"},
        {"GLIBC_TUNABLES": "glibc.rtld.nns=2:glibc.malloc.mmap_threshold=1"},
    ],
    ids=lambda chosen: next(iter(chosen)),
)
def test_what_the_operator_has_chosen_stays(chosen: dict[str, str]) -> None:
    assert not allocator.keep_reads(chosen)


def test_a_library_without_such_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "_libc", object)
    assert not allocator.keep_reads({})
    allocator.trim_heap()


def test_the_heap_can_be_trimmed(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    monkeypatch.setattr(allocator, "_libc", lambda: SimpleNamespace(malloc_trim=left.append))
    allocator.trim_heap()
    assert left == [0]


@pytest.mark.asyncio(loop_factories=["asyncio"])
@pytest.mark.parametrize("loop", LOOPS)
async def test_a_server_of_any_target(loop: str, tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text(ECHO)
    async with serving(f"{app}:handle", "--bind", "tcp://127.0.0.1:0", loop=loop) as server:
        talker = await Talker.connect(server.ports[0])

        async def echo(times: int) -> None:
            for _ in range(times):
                await talker.write(b"ping")
                assert await talker.read() == b"ping"

        await echo(50)
        before = page_faults(server.process.pid)
        await echo(500)
        assert page_faults(server.process.pid) - before < 250
        talker.sock.close()


ECHO = """
async def handle(reader, writer):
    while data := await reader.read(1000):
        writer.write(data)
        await writer.drain()
"""


def page_faults(pid: int) -> int:
    """Pages that a process has had to be given, from memory (proc(5))."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])
