"""How far a run is."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
import tty
from pathlib import Path

import pytest

from netkit.clients.run.output import outputs
from netkit.clients.run.output.form import Form
from netkit.clients.run.progress import Progress
from netkit.subprocesses.command import Command
from netkit.subprocesses.events import End, Ended, Retrying, Started
from tests.run.showing import Run, shown, work

COMMAND = Command(("true",))


def counted(total: int | None) -> Progress:
    """One succeeded, one failed, one waits for its next start, one could not start, one runs."""
    progress = Progress(total)
    for job in range(1, 5):
        progress.event(Started(job, 0.0, COMMAND, 1))
    progress.event(Ended(1, 0.0, COMMAND, End(0, None, 0.1)))
    progress.event(Ended(2, 0.0, COMMAND, End(1, None, 0.1)))
    progress.event(Retrying(3, 0.0, 2, 0.1, End(1, None, 0.1)))
    progress.event(Ended(5, 0.0, COMMAND, End(None, None, 0.0, reason="not started")))
    return progress


def text(line: bytes) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", line.decode())


@pytest.mark.parametrize(
    ("total", "of", "rest"), [(8, "3/8", r" (-:--:--|\d:\d\d:\d\d)$"), (None, "3/?", " 2 failed$")]
)
def test_the_line_tells_what_is_done_runs_and_failed(total: int | None, of: str, rest: str) -> None:
    line = text(counted(total).draw(100, colour=False))
    assert f" {of} " in line
    assert "1 running" in line
    assert "2 failed" in line
    assert re.search(r"[\d.]+/s", line)
    assert re.search(rest, line)
    assert "\n" not in line


@pytest.mark.parametrize("width", [10, 30, 79])
def test_it_is_no_wider_than_the_terminal(width: int) -> None:
    assert len(text(counted(8).draw(width, colour=True))) <= width


def test_it_has_colours_only_where_they_are_wanted() -> None:
    assert b"\x1b[3" not in counted(8).draw(80, colour=False)
    assert b"\x1b[3" in counted(8).draw(80, colour=True)


def test_the_summary_says_it_all() -> None:
    assert re.fullmatch(
        r"3 of 8 jobs in \d+\.\d s \(\d+\.\d/s\): 1 succeeded, 2 failed", counted(8).summary()
    )
    assert counted(3).summary().startswith("3 jobs in ")


def test_rich_is_not_imported_before_it_draws() -> None:
    code = (
        "import sys, netkit.clients.run.output.outputs, netkit.clients.run.progress;"
        "sys.exit('rich' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("asked", "lines"), [(None, 0), (False, 0), (True, 1)])
async def test_where_there_is_no_terminal_it_is_quiet(asked: bool | None, lines: int) -> None:
    stdout, stderr = await shown(Form(progress=asked), "echo a", "echo b")
    assert sorted(stdout.splitlines()) == [b"a", b"b"]
    assert len(stderr.splitlines()) == lines
    if lines:
        assert stderr.startswith(b"2 jobs in ")


def screen(written: bytes) -> list[str]:
    """What stands on a terminal at last that was sent this, as far as it came."""
    rows, column = [""], 0
    written = re.sub(rb"\x1b[^a-zA-Z]*$", b"", written)
    for part in re.findall(
        r"\x1b\[K|\x1b\[[\d;]*m|\r|\n|[^\x1b\r\n]+", written.decode(errors="replace")
    ):
        if part == "\r":
            column = 0
        elif part == "\n":
            rows.append("")
            column = 0
        elif part == "\x1b[K":
            rows[-1] = rows[-1][:column]
        elif not part.startswith("\x1b"):
            rows[-1] = rows[-1][:column] + part + rows[-1][column + len(part) :]
            column += len(part)
    return rows


@pytest.mark.parametrize("mode", ["grouped", "live"])
async def test_it_stands_below_what_jobs_write_and_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(outputs, "FIRST", 0.0)
    monkeypatch.setattr(outputs, "INTERVAL", 0.001)
    fifos = [tmp_path / str(n) for n in range(3)]
    for fifo in fifos:
        os.mkfifo(fifo)
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 70, 0, 0))
    works = [work(n + 1, f"read x < {fifo}; echo {n}") for n, fifo in enumerate(fifos)]
    running = asyncio.create_task(
        Run(Form(mode, progress=None), works).run(theirs, theirs)  # type: ignore[arg-type]  # a Mode
    )
    written = b""
    for n, fifo in enumerate(fifos):
        above = [str(before) for before in range(n)]
        while screen(written)[:-1] != above or f" {n}/3 " not in screen(written)[-1]:
            written += await asyncio.to_thread(os.read, ours, 10_000)
        assert len(screen(written)[-1]) < 70
        await asyncio.to_thread(fifo.write_text, "\n")
    await running
    os.close(theirs)
    try:
        while data := os.read(ours, 10_000):
            written += data
    except OSError:  # EIO: the other side is closed
        pass
    os.close(ours)
    assert screen(written) == ["0", "1", "2", ""]
