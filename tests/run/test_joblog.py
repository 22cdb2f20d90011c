"""The joblog: true whenever we are killed, and GNU parallel's."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from netkit.clients.run.joblog import HEADER, Joblog
from netkit.clients.run.output.form import Form
from netkit.clients.run.output.work import Work
from netkit.errors import UsageError
from netkit.subprocesses.command import Command
from netkit.subprocesses.events import End, Ended
from tests.peers import peer
from tests.run.showing import Run, shown, work

LINES = ["echo a", "exit 3", "kill -9 $$", "echo 'a\tb\nc'", "echo é; echo b >&2"]


async def ran(path: Path, *lines: str, form: Form | None = None) -> tuple[bytes, bytes]:
    with closing(Joblog.open(str(path))) as joblog:
        return await shown(form or Form(), *lines, joblog=joblog, limit=1)


def parallel(*words: str) -> bytes:
    return subprocess.run([peer("parallel"), *words], capture_output=True, check=False).stdout


def rows(path: Path) -> list[list[bytes]]:
    return [line.split(b"\t", 8) for line in path.read_bytes().splitlines()]


def fields(path: Path) -> list[tuple[bytes, ...]]:
    """All but the times."""
    return sorted((*row[:2], *row[4:]) for row in rows(path))


@pytest.mark.parametrize("mode", ["grouped", "live", "json"])
async def test_it_is_what_gnu_parallel_writes(tmp_path: Path, mode: str) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    await ran(ours, *LINES, form=Form(mode))  # type: ignore[arg-type]  # one of its modes
    await asyncio.to_thread(parallel, "-0", "-j1", "--joblog", str(theirs), ":::", *LINES)
    assert fields(ours) == fields(theirs)
    for row in rows(ours)[1:]:
        assert re.fullmatch(rb"\d+\.\d{3}", row[2])
        assert re.fullmatch(rb" +\d+\.\d{3}", row[3])
        assert len(row[3]) == 10


@pytest.mark.parametrize(
    ("end", "codes"),
    [
        (End(None, 15, 0.1, reason="timeout"), b"-1\t15"),
        (End(0, None, 0.1, reason="timeout"), b"-1\t0"),
        (End(None, None, 0.0, reason="not started"), b"127\t0"),
        (End(None, None, 0.1, reason="lost"), b"-1\t0"),
        (End(None, 9, 0.1), b"0\t9"),
    ],
)
def test_what_failed_never_looks_as_if_it_had_not(tmp_path: Path, end: End, codes: bytes) -> None:
    with closing(Joblog.open(str(tmp_path / "log"))) as joblog:
        joblog.add(Work(1, "a"), Ended(1, 10.0, Command(("a",)), end), "far", 0)
    line = (tmp_path / "log").read_bytes().splitlines()[1]
    assert line.startswith(b"1\tfar\t")
    assert line.endswith(codes + b"\ta")
    with closing(Joblog.open(str(tmp_path / "log"), "failed")) as joblog:
        assert not joblog.has(1)


async def test_gnu_parallel_resumes_from_ours(tmp_path: Path) -> None:
    log = tmp_path / "log"
    await ran(log, "echo a", "false", "echo c")
    lines = ["echo a", "false", "echo c", "echo d"]
    assert await asyncio.to_thread(
        parallel, "--joblog", str(log), "--resume", ":::", *lines
    ) == b"d\n"  # fmt: skip
    assert await asyncio.to_thread(
        parallel, "--joblog", str(log), "--resume-failed", ":::", "echo a", "echo b", *lines[2:]
    ) == b"b\n"  # fmt: skip
    assert len(rows(log)) == 1 + 5


@pytest.mark.parametrize(("resume", "out"), [("all", b"d\n"), ("failed", b"b\nd\n")])
async def test_we_resume_from_gnu_parallels(tmp_path: Path, resume: str, out: bytes) -> None:
    log = tmp_path / "log"
    await asyncio.to_thread(
        parallel, "-j1", "--joblog", str(log), ":::", "echo a", "false", "echo c"
    )
    with closing(Joblog.open(str(log), resume)) as joblog:  # type: ignore[arg-type]  # a Resume
        lines = ("echo a", "echo b", "echo c", "echo d")
        assert (await shown(Form(keep_order=True), *lines, joblog=joblog))[0] == out
    numbers = {row[0] for row in rows(log)[1:]}
    assert numbers == {b"1", b"2", b"3", b"4"}


def test_a_failure_after_a_success_is_no_failure(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(HEADER + b"".join(_line(1, status) for status in (1, 0, 1)))
    with closing(Joblog.open(str(log), "failed")) as joblog:
        assert joblog.has(1)


def _line(number: int, status: int = 0) -> bytes:
    return b"%d\t:\t1767225600.250\t     0.012\t0\t6\t%d\t0\techo %d\n" % (number, status, number)


@pytest.mark.parametrize("torn", [b"3", b"3\t:\t17", _line(3)[:-1], _line(3)[:-4]])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    log = tmp_path / "log"
    log.write_bytes(HEADER + _line(1) + _line(2) + torn)
    with closing(Joblog.open(str(log), "all")) as joblog:
        assert [joblog.has(number) for number in (1, 2, 3)] == [True, True, False]
        joblog.add(work(3, "a"), Ended(3, 10.0, Command(("a",)), End(0, None, 1.0)), ":", 0)
    assert log.read_bytes().startswith(HEADER + _line(1) + _line(2) + b"3\t:\t9.000\t")
    assert len(rows(log)) == 4


@pytest.mark.parametrize(
    ("content", "number"),
    [
        (b"#!/bin/sh\nexit\n", 1),
        (b"Dear diary", 1),
        (b"\0" * 100, 1),
        (HEADER + _line(1) + b"and so on\n", 3),
        (HEADER + _line(1) + b"and so on", 3),
        (HEADER + b"1\t:\tx\ty\tz\n", 2),
    ],
)
@pytest.mark.parametrize("plus", ["", "+"])
def test_a_file_that_is_no_joblog_is_left_as_it_is(
    tmp_path: Path, content: bytes, number: int, plus: str
) -> None:
    log = tmp_path / "log"
    log.write_bytes(content)
    with pytest.raises(UsageError, match=rf"^--joblog {log}: line {number} is not a joblog's"):
        Joblog.open(f"{plus}{log}", "" if plus else "all")
    assert log.read_bytes() == content


@pytest.mark.parametrize("plus", ["", "+"])
async def test_without_resume_it_is_begun_anew_unless_it_has_a_plus(
    tmp_path: Path, plus: str
) -> None:
    log = tmp_path / "log"
    log.write_bytes(HEADER + _line(1))
    with closing(Joblog.open(f"{plus}{log}")) as joblog:
        assert not joblog.has(1)
        await shown(Form(), "echo a", joblog=joblog)
    assert [row[0] for row in rows(log)] == [b"Seq", b"1", b"1"][: 3 if plus else 2]


def test_resuming_from_nothing_begins_a_joblog(tmp_path: Path) -> None:
    Joblog.open(str(tmp_path / "log"), "all").close()
    assert (tmp_path / "log").read_bytes() == HEADER


@pytest.mark.parametrize(
    ("name", "why"),
    [("missing/log", "No such file or directory"), (".", "Is a directory"), ("full", "No space")],
)
def test_one_that_cannot_be_written_is_one_line(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(UsageError, match=rf"^--joblog {tmp_path / name}: {why}"):
        Joblog.open(str(tmp_path / name))


def test_what_is_no_file_cannot_be_resumed_from() -> None:
    with pytest.raises(UsageError, match=r"^--joblog /dev/null: only a file"):
        Joblog.open("/dev/null", "all")


def test_a_line_for_which_there_is_no_room_leaves_no_piece(tmp_path: Path) -> None:
    log = tmp_path / "log"
    limit = len(HEADER) + 100  # the second line would not fit
    lines = ["true first", "true second that is longer than what is left of the room there is"]
    ended = subprocess.run(
        ["prlimit", f"--fsize={limit}", sys.executable, "-B", "-m", "tests.run.showing",
         f'{{"joblog": "{log}", "limit": 1}}', *lines], capture_output=True, check=False,
    )  # fmt: skip
    assert ended.stderr.decode() == f"netkit: --joblog {log}: No space left on device\n"
    assert ended.returncode == 255
    assert [row[8] for row in rows(log)] == [b"Command", b"true first"]


def test_after_kill_9_each_line_is_whole_and_true(tmp_path: Path) -> None:
    log, done = tmp_path / "log", tmp_path / "done"
    done.mkdir()
    lines = [f"sleep 0.00{n % 7}; : > {done}/{n}" for n in range(1, 501)]
    asked = f'{{"joblog": "{log}", "limit": 8}}'
    words = [sys.executable, "-m", "tests.run.showing", asked, *lines]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
        while not log.exists() or log.read_bytes().count(b"\n") < 50:
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    content = log.read_bytes()
    assert content.startswith(HEADER)
    assert content.endswith(b"\n")
    logged = [int(row[0]) for row in rows(log)[1:]]
    assert 49 <= len(logged) < 500
    for number, row in zip(logged, rows(log)[1:], strict=True):
        assert row[6:] == [b"0", b"0", lines[number - 1].encode()]
        assert (done / str(number)).exists()
    resumed = [*words[:3], asked.replace("}", ', "resume": "all"}'), *lines]
    assert subprocess.run(resumed, check=False).returncode == 0
    assert sorted(int(row[0]) for row in rows(log)[1:]) == list(range(1, 501))


async def test_a_job_is_logged_when_its_output_was_handed_on(tmp_path: Path) -> None:
    log = tmp_path / "log"
    read, write = os.pipe()
    os.write(write, bytes(65536))  # it is full
    with closing(Joblog.open(str(log))) as joblog:
        run = Run(Form(), [work(1, "echo a")], joblog)
        running = asyncio.create_task(run.run(write, None))
        while not run.ended:
            await asyncio.sleep(0)  # until it has ended, which only its events tell
        assert log.read_bytes() == HEADER
        os.read(read, 65536)
        await running
    os.close(read)
    os.close(write)
    assert len(rows(log)) == 2
