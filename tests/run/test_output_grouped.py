"""Each job's output in one piece."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
import tty
from pathlib import Path
from typing import Any

import pytest

from netkit.clients.run.output import grouped, held, writer
from netkit.clients.run.output.failures import OutputError
from netkit.clients.run.output.form import Form
from netkit.clients.run.output.outputs import Outputs
from netkit.errors import UsageError
from netkit.stdio import OutputClosedError
from netkit.subprocesses.events import Ended, Event, Output, Started
from netkit.subprocesses.retries import Retries
from tests.conftest import open_descriptors
from tests.peers import peer
from tests.run.showing import Run, shown, work

GROUPED = Form()
IN_ORDER = Form(keep_order=True)


async def test_output_is_whole_and_goes_where_it_was_meant_to_go() -> None:
    lines = [f"for i in 1 2 3; do echo {n}; echo e{n} >&2; done" for n in "abcdefgh"]
    stdout, stderr = await shown(GROUPED, *lines)
    assert sorted(stdout.decode().split()) == sorted("abcdefgh" * 3)
    for name in "abcdefgh":
        assert f"{name}\n{name}\n{name}\n".encode() in stdout
        assert f"e{name}\ne{name}\ne{name}\n".encode() in stderr


async def test_output_comes_in_the_order_of_ends(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    def seen(event: Event) -> None:
        if isinstance(event, Ended) and event.job == 2:
            os.close(os.open(fifo, os.O_WRONLY))

    stdout, _ = await shown(GROUPED, f"read x < {fifo}; echo late", "echo soon", seen=seen)
    assert stdout == b"soon\nlate\n"


async def test_keep_order_is_that_of_the_jobs(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    stdout, _ = await shown(IN_ORDER, f"read x < {fifo}; echo late", f"echo soon; echo > {fifo}")
    assert stdout == b"late\nsoon\n"


async def test_however_many_wait_for_the_first_few_files_are_open(tmp_path: Path) -> None:
    fifo, jobs = tmp_path / "fifo", 2 * grouped.OPEN
    os.mkfifo(fifo)
    ended = most = 0

    def seen(event: Event) -> None:
        nonlocal ended, most
        if isinstance(event, Ended):
            ended += 1
            most = max(most, len(open_descriptors()))
            if ended == jobs:
                os.close(os.open(fifo, os.O_WRONLY))

    lines = [f"read x < {fifo}; echo 0", *(f"echo {n}; echo {n} >&2" for n in range(1, jobs + 1))]
    works = [work(number, line) for number, line in enumerate(lines, 1)]
    before = len(open_descriptors())
    stdout, stderr = await Run(IN_ORDER, works, seen=seen).into_files()
    numbers = "".join(f"{n}\n" for n in range(jobs + 1)).encode()
    assert stdout == numbers
    assert stderr == numbers.removeprefix(b"0\n")
    assert most < before + 2 * grouped.OPEN + 50  # those at work, helpers, the loop


async def test_what_an_attempt_wrote_before_the_last_is_thrown_away(tmp_path: Path) -> None:
    line = f"echo out $(date) >> {tmp_path}/tries; cat {tmp_path}/tries; echo e >&2; exit 1"
    stdout, stderr = await shown(GROUPED, line, retries=Retries(2, first=0.01))
    assert len(stdout.splitlines()) == 3  # of the third alone
    assert stderr == b"e\n"


@pytest.mark.parametrize("line", ["printf 'a\\n\\nb\\n'", "printf 'a\\nb'", "printf a", "true"])
async def test_tags_stand_where_gnu_parallel_has_them(line: str) -> None:
    parallel = peer("parallel")
    theirs = await asyncio.to_thread(
        subprocess.run, [parallel, "--tag", "-k", ":::", line, line], capture_output=True
    )
    ours, _ = await shown(Form(tag=True, keep_order=True), line, line)
    assert ours == theirs.stdout


async def test_a_tag_stands_before_each_line_however_much_there_is() -> None:
    stdout, _ = await shown(Form(tag=True), "yes | head -n 2000000")
    assert stdout == b"yes | head -n 2000000\ty\n" * 2_000_000


async def test_it_can_be_appended_to_a_file(tmp_path: Path) -> None:
    file = tmp_path / "all"
    file.write_bytes(b"before\n")
    fd = os.open(file, os.O_WRONLY | os.O_APPEND)  # where sendfile(2) refuses
    try:
        await Run(GROUPED, [work(1, "echo a"), work(2, "echo b >&2")]).run(fd, fd)
    finally:
        os.close(fd)
    assert sorted(file.read_bytes().splitlines()) == [b"a", b"b", b"before"]


async def test_it_can_be_shown_on_a_terminal() -> None:
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    try:
        await Run(Form(progress=False), [work(1, "echo a; echo b >&2")]).run(theirs, theirs)
        assert os.read(ours, 100) == b"a\nb\n"
    finally:
        os.close(ours)
        os.close(theirs)


async def test_closed_at_start_nothing_is_written() -> None:
    run = Run(GROUPED, [work(1, "echo a; echo b >&2")])
    await run.run(None, None)
    assert run.ended[0].end.status == 0


async def test_a_reader_that_does_not_read_holds_up_starts_and_not_the_loop() -> None:
    jobs = 2 * writer.MOST // writer.FILE
    started: list[int] = []
    ended: list[int] = []
    full = asyncio.Event()

    def seen(event: Event) -> None:
        if isinstance(event, Started):
            started.append(event.job)
        elif isinstance(event, Ended):
            ended.append(event.job)
            # As many as fill it; those that had begun by then add to that.
            if len(ended) >= writer.MOST // writer.FILE and len(ended) == len(started):
                full.set()

    line = "head -c 100000 /dev/zero"
    works = [work(number, line) for number in range(1, jobs + 1)]
    read, write = os.pipe()
    running = asyncio.create_task(Run(GROUPED, works, seen=seen).run(write, None))
    await full.wait()
    assert not running.done()
    assert len(started) < jobs
    emptied = asyncio.create_task(asyncio.to_thread(_emptied, read))
    await running
    os.close(write)
    assert await emptied == jobs * 100_000


def _emptied(fd: int) -> int:
    size = 0
    while data := os.read(fd, 1 << 20):
        size += len(data)
    os.close(fd)
    return size


@pytest.mark.parametrize("mode", ["grouped", "live", "json"])
async def test_a_reader_that_went_away_is_told_at_once(mode: Any) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        async with Outputs(Form(mode), write, None) as outputs:
            await outputs.begin(1, work(1, "sleep 1000"))
            stdout, _ = await outputs.begin(2, work(2, "true"))
            if isinstance(stdout, int):
                os.write(stdout, b"a\n")
            else:
                await outputs.event(Output(2, 0.0, "stdout", b"a\n"))
            await outputs.event(_ended(2))
            with pytest.raises(OutputClosedError):
                await outputs.broken()  # no further event is needed
            with pytest.raises(OutputClosedError):
                await outputs.begin(3, work(3, "true"))
            with pytest.raises(OutputClosedError):
                await outputs.finish()
    finally:
        os.close(write)


def _ended(job: int) -> Ended:
    from netkit.subprocesses.command import Command
    from netkit.subprocesses.events import End

    return Ended(job, 0.0, Command(("true",)), End(0, None, 0.0))


async def test_a_full_disk_behind_our_output_is_one_line() -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(OutputError, match=r"^standard output cannot be written: No space left"):
            await Run(GROUPED, [work(1, "echo a")]).run(fd, None)
    finally:
        os.close(fd)


@pytest.mark.parametrize("form", ["{}", '{"results": "DISK/results"}'])
def test_a_full_disk_behind_a_jobs_output_ends_the_run(tmp_path: Path, form: str) -> None:
    asked = f'{{"form": {form.replace("DISK", str(tmp_path))}}}'
    script = (
        f"mount -t tmpfs -o size=256k none {tmp_path} || exit 77;"
        f"TMPDIR={tmp_path} {sys.executable} -m tests.run.showing '{asked}' 'head -c 1M /dev/zero'"
    )
    ended = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, check=False)
    if ended.returncode == 77 or b"unshare" in ended.stderr:
        pytest.skip("no mount namespace of our own here")
    assert ended.returncode == 255
    said = ended.stderr.decode().splitlines()
    assert len([line for line in said if line.startswith("netkit:")]) == 1
    assert f"netkit: {tmp_path}" in said[-1]
    assert said[-1].endswith("no space left, output of job 1 may be incomplete")


def test_few_descriptors_are_waited_for() -> None:
    lines = [f"echo {n}" for n in range(200)]
    ended = subprocess.run(
        ["prlimit", "--nofile=60", sys.executable, "-m", "tests.run.showing",
         '{"limit": 50}', *lines], capture_output=True, check=False,
    )  # fmt: skip
    assert ended.stderr == b""
    assert ended.returncode == 0
    assert sorted(map(int, ended.stdout.split())) == list(range(200))


async def test_files_have_no_name_even_where_that_takes_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def old(path: Any, flags: int, *rest: Any, **named: Any) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        return real(path, flags, *rest, **named)

    monkeypatch.setattr(os, "open", old)
    fd = held.nameless(str(tmp_path))
    try:
        os.write(fd, b"a")
        assert os.pread(fd, 10, 0) == b"a"
        assert not list(tmp_path.iterdir())
    finally:
        os.close(fd)


async def test_what_waits_for_one_that_never_ends_is_shown_at_the_end() -> None:
    read, write = os.pipe()
    async with Outputs(IN_ORDER, write, None) as outputs:
        for job in (1, 2, 3):
            stdout, _ = await outputs.begin(job, work(job, "x"))
            assert isinstance(stdout, int)
            os.write(stdout, b"%d\n" % job)
        await outputs.event(_ended(3))
        await outputs.event(_ended(2))
        await outputs.finish()
    assert os.read(read, 100) == b"2\n3\n"
    os.close(read)
    os.close(write)


async def test_leaving_early_closes_everything() -> None:
    read, write = os.pipe()  # nobody reads
    async with Outputs(GROUPED, write, None) as outputs:
        for job in (1, 2):
            stdout, _ = await outputs.begin(job, work(job, "x"))
            assert isinstance(stdout, int)
            os.write(stdout, bytes(100_000))
        await outputs.event(_ended(1))
    os.close(read)
    os.close(write)


@pytest.mark.parametrize(
    ("form", "flags"),
    [
        (Form("live", keep_order=True), "--keep-order --line-buffer"),
        (Form("json", keep_order=True), "--keep-order --json"),
        (Form("json", tag=True), "--tag --json"),
        (Form("live", results=Path("x")), "--results --line-buffer"),
    ],
)
async def test_what_cannot_be_had_together_is_said(form: Form, flags: str) -> None:
    with pytest.raises(UsageError, match=flags):
        await Run(form, []).run(None, None)
