"""Runs that are over before their arguments: signals, ``--halt``, readers that leave."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.peers import peer
from tests.run.running import Running, running
from tests.runtime.process import COMMAND, LOOPS

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),  # of the test itself
    pytest.mark.parametrize("loop", LOOPS),
]


@pytest.fixture
def tap(tmp_path: Path) -> Iterator[Tap]:
    made = Tap(tmp_path / "tap")
    yield made
    made.close()


class Tap:
    """Jobs that read a line from it wait for that."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        # For both, so that neither we nor they wait for the other to open it.
        self._fd = os.open(path, os.O_RDWR)

    def open(self, jobs: int) -> None:
        """Let so many go on."""
        os.write(self._fd, b"\n" * jobs)

    def close(self) -> None:
        os.close(self._fd)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_once_lets_running_jobs_end(number: signal.Signals, loop: str, tap: Tap) -> None:
    script = f"echo begun; read x < {tap.path}; echo ended {{}}"
    async with running("-j2", "--lb", "--shell", script, ":::", *"abcd", loop=loop) as it:
        assert [await it.line(), await it.line()] == [b"begun\n"] * 2
        it.signal(number)
        assert await it.remark() == (
            f"netkit: {number.name}: no more jobs are started; "
            "those that run (2) are ended by a second one"
        )
        tap.open(2)
        told = await it.ended()
    assert told.status == -number
    assert told.lines == ["ended a", "ended b"]


async def test_twice_ends_them(loop: str) -> None:
    script = "echo $$; exec sleep 1000 # {}"
    async with running("-j2", "--lb", "--shell", script, ":::", *"abc", loop=loop) as it:
        pids = [int(await it.line()), int(await it.line())]
        it.signal(signal.SIGINT)
        await it.remark()
        it.signal(signal.SIGINT)
        told = await it.ended()
    assert (told.status, told.out) == (-signal.SIGINT, b"")
    assert all(map(gone, pids))


async def insist(it: Running) -> None:
    """Signal again and again, until it ends."""
    while it.process.returncode is None:
        with suppress(ProcessLookupError):
            it.signal(signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await it.process.wait()


async def test_three_times_waits_for_no_grace(loop: str) -> None:
    script = "trap '' TERM; echo $$; while :; do sleep 1000; done # {}"
    words = ("-j1", "--lb", "--grace", "1h", "--shell", script, ":::", "a")
    async with running(*words, loop=loop) as it:
        pid = int(await it.line())
        it.signal(signal.SIGTERM)
        await it.remark()
        await insist(it)
        assert (await it.ended()).status == -signal.SIGTERM
    assert gone(pid)


async def test_while_arguments_are_awaited(loop: str) -> None:
    async with running("-j2", "--lb", "echo", loop=loop, stdin=True) as it:
        assert it.process.stdin
        it.process.stdin.write(b"a\n")
        assert await it.line() == b"a\n"
        it.signal(signal.SIGINT)
        assert await it.process.wait() == -signal.SIGINT  # its standard input is still open


async def test_while_a_header_is_awaited(loop: str, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    async with running("--header", ":", "-a", fifo, "echo", loop=loop) as it:
        # It can be opened for writing once the run has opened it, and heeds signals.
        writing = await asyncio.to_thread(os.open, fifo, os.O_WRONLY)
        it.signal(signal.SIGINT)
        assert (await it.ended()).status == -signal.SIGINT
        os.close(writing)


async def test_halting_now_ends_those_that_run(loop: str, tap: Tap, tmp_path: Path) -> None:
    log = tmp_path / "log"
    words = ("-j2", "--halt", "now,fail=1", "--joblog", log)
    first = f"echo $$ > {tap.path}; exec sleep 1000"
    script = f"[ {{}} = 1 ] && {{ {first}; }}; read x < {tap.path}; echo $x; exit 7"
    async with running(*words, "--shell", script, ":::", "1", "2", "3", loop=loop) as it:
        told = await it.ended()
    assert told.status == 7
    assert gone(int(told.out))
    assert len(log.read_text().splitlines()) == 2  # what did not end by itself is run again


async def test_halting_soon_lets_running_jobs_end(loop: str, tap: Tap) -> None:
    words = ("-j2", "--halt", "soon,fail=1", "sh", "-c")
    script = f"[ {{}} = 1 ] && read x < {tap.path}; echo {{}}; [ {{}} != 2 ]"
    async with running(*words, script, ":::", *"1234", loop=loop) as it:
        assert (await it.remark()).startswith("netkit: --halt: job 2: exit status 1: sh -c ")
        tap.open(1)
        told = await it.ended()
    assert (told.status, told.out) == (1, b"2\n1\n")


async def test_a_reader_that_leaves_ends_all(loop: str) -> None:
    script = "echo $$; while echo y; do :; done # {}"
    command = [*COMMAND, "run", "--loop", loop, "--lb", "--shell", script, ":::", "a"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        process.stdout.close()
        assert process.wait() == -signal.SIGPIPE
    assert gone(pid)


@pytest.mark.parametrize("option", ["--group", "--line-buffer", "--json", "--dry-run"])
async def test_a_full_disk_is_one_line(option: str, loop: str) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [*COMMAND, "run", "--loop", loop, option, "echo", ":::", "a"]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE)
    assert ended.returncode == 255
    assert ended.stderr == (
        b"netkit: error: standard output cannot be written: No space left on device\n"
    )


async def test_arguments_without_end_are_not_held(loop: str) -> None:
    # What netkit had in memory at most: the job's parent is its spawn helper. Not what wait4
    # tells, which counts what the process was before exec, a copy of this one.
    status = "sleep 0.2; cat /proc/$(cut -d' ' -f4 /proc/$PPID/stat)/status #"
    with subprocess.Popen([peer("yes")], stdout=subprocess.PIPE) as endless:
        words = ("-j1", "--halt", "soon,done=3", "--shell", status)
        told = subprocess.run(
            [*COMMAND, "run", "--loop", loop, *words], stdin=endless.stdout, stdout=subprocess.PIPE
        )
        endless.kill()
    assert told.returncode == 0
    peaks = [int(line.split()[1]) for line in told.stdout.splitlines() if b"VmHWM" in line]
    assert len(peaks) == 3
    assert max(peaks) < 200 * 1024


async def test_standard_error_that_is_closed(loop: str) -> None:
    command = [*COMMAND, "run", "--loop", loop, "--timeout", "0.1", "sleep", ":::", "1000"]
    ended = subprocess.run(["sh", "-c", 'exec "$@" 2>&-', "-", *command], stdout=subprocess.PIPE)
    assert ended.returncode == 1
