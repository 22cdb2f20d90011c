"""Hostile jobs, a machine that has nothing left, and helpers or a netkit that is killed."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import tracemalloc
from pathlib import Path

import pytest

from netkit.subprocesses import spawner
from netkit.subprocesses.command import Command, NotStartedError, Surroundings
from netkit.subprocesses.events import Ended, Output, Started
from netkit.subprocesses.helpers import Helpers
from netkit.subprocesses.runner import Runner
from tests.subprocesses.conftest import children
from tests.subprocesses.jobs import Told, descriptors, gone, ran, sh

root = pytest.mark.skipif(os.getuid() != 0, reason="only root may become somebody else")


# Both loops at the same time would be one user.
once = pytest.mark.asyncio(loop_factories=["asyncio"])


@root
@once
async def test_a_fork_bomb_within_limits(helpers: Helpers) -> None:
    # A user of its own: the limit counts all processes of a user.
    around = Surroundings(user="games", limits={resource.RLIMIT_NPROC: (20, 20)}, cwd=Path("/"))
    bomb = Command(("sh", "-c", "f() { f | f & }; f; sleep 60"), surroundings=around)
    told = await ran(helpers, bomb, timeout=5.0, grace=0.1, linger=0.1)
    assert b"fork" in told.output("stderr")
    assert told.job.child
    assert await gone(told.job.child.pid)


async def test_a_line_without_an_end() -> None:
    size = 0
    tracemalloc.start()
    async with Runner(1) as runner:
        async for event in runner.map([["head", "-c", str(1 << 30), "/dev/zero"]]):
            if type(event) is Output:
                size += len(event.data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size == 1 << 30
    assert peak < 64 * 1024 * 1024


async def test_no_descriptor_left(helpers: Helpers) -> None:
    await ran(helpers, Command(("true",)))  # the helper has its own by now
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, descriptors())), hard))
    taken = []
    try:
        while True:
            try:
                taken.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                break
        with pytest.raises(NotStartedError) as caught:
            await Told(Command(("true",))).run(helpers)
        assert str(caught.value) == "true: no descriptor is left (ulimit -n)"
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (await ran(helpers, sh("exit 3"))).end.status == 3  # type: ignore[union-attr]  # ended


async def test_short_of_descriptors_fewer_run_at_a_time() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with Runner(50) as runner:
        async for _ in runner.map([["true"]] * 2):  # the helpers have their own by now
            pass
        used = max(map(int, descriptors()))
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 20, hard))
        try:
            told = [event async for event in runner.map([sh("sleep 0.02; echo x")] * 50)]
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [event.end.code for event in told if type(event) is Ended] == [0] * 50
    assert sum(type(event) is Output for event in told) == 50


PROGRAM = """
    import asyncio, sys
    from netkit.subprocesses.runner import Runner

    async def main():
        async with Runner(4) as runner:
            async for event in runner.map([sys.argv[1:]] * 4):
                print(event.pid, flush=True)

    asyncio.run(main())
"""


def test_kill_9_of_netkit_ends_its_jobs() -> None:
    words = [sys.executable, "-c", textwrap.dedent(PROGRAM), "sh", "-c", "sleep 60 & sleep 60"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout
        pids = [int(process.stdout.readline()) for _ in range(4)]
        process.kill()
        process.wait()
    for pid in pids:
        asyncio.run(gone(pid))


@root
@once
async def test_no_more_processes_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    # Root is never refused one, so its helper is somebody else, who may have one process.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        shutil.copy(spawner.__file__, f"{folder}/spawner.py")
        somebody = Path(folder, "python")
        somebody.write_text(
            "#!/bin/sh\nexec prlimit --nproc=1:1 setpriv --reuid=news --regid=news "
            '--clear-groups /usr/bin/python3 "$@"\n'
        )
        somebody.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(somebody))
        monkeypatch.setattr(spawner, "__file__", f"{folder}/spawner.py")
        async with Runner(2, spawner=(helpers := Helpers(1))) as runner:
            told = [event async for event in runner.map([["true"], ["true"]])]
        await helpers.close()
    assert [event.end.error for event in told if type(event) is Ended] == [
        "true: no more processes are allowed (ulimit -u)"
    ] * 2


async def test_a_helper_that_dies_takes_its_jobs_along_and_is_replaced() -> None:
    before = children(os.getpid())
    way = Helpers(1)
    told = Told(sh("sleep 60 & sleep 60"))

    def kill_its_parent(event: object) -> None:
        if type(event) is Started:
            (helper,) = children(os.getpid()) - before
            os.kill(helper, signal.SIGKILL)

    told.hook = kill_its_parent
    end = await told.run(way)
    assert (end.reason, end.error) == ("lost", "sh: its spawn helper died")
    assert told.job.child
    assert await gone(told.job.child.pid)
    assert (await ran(way, sh("exit 4"))).end.status == 4  # type: ignore[union-attr]  # ended
    await way.close()


async def test_closing_kills_what_runs() -> None:
    way = Helpers(2)
    jobs = [Told(sh("trap '' TERM; sleep 60 & echo x; wait; sleep 60")) for _ in range(3)]
    running = [asyncio.create_task(told.run(way)) for told in jobs]
    ready = asyncio.Event()
    for told in jobs:
        told.hook = lambda _: ready.set() if all(map(Told.output, jobs)) else None
    await ready.wait()
    await way.close()
    for told, task in zip(jobs, running, strict=True):
        assert (await task).signal == signal.SIGKILL
        assert told.job.child
        assert await gone(told.job.child.pid)
    await way.close()
