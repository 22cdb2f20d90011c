"""Lines as they come."""

from __future__ import annotations

import asyncio
import os
import re
import tty
from collections import Counter
from pathlib import Path

import pytest

from netkit.clients.run.output.form import Form
from netkit.clients.run.output.tagging import Tagger
from netkit.clients.run.output.work import Work
from netkit.subprocesses.events import Ended, Event, Output
from netkit.subprocesses.lines import LONGEST
from netkit.subprocesses.retries import Retries
from tests.run.showing import Run, shown, work

LIVE, TAGGED = Form("live"), Form("live", tag=True)


async def test_lines_of_a_hundred_at_once_are_never_broken() -> None:
    words = ["yes 'a line of some bytes, so that blocks end within one' | head -n 5000"] * 100
    works = [work(n, f"{line} # {n}") for n, line in enumerate(words)]
    stdout, _ = await Run(TAGGED, works, limit=100).into_files()
    lines = stdout.decode().splitlines()
    form = re.compile(r"yes .* # (\d+)\ta line of some bytes, so that blocks end within one")
    found = [form.fullmatch(line) for line in lines]
    assert Counter(match and match[1] for match in found) == {str(n): 5000 for n in range(100)}


async def test_each_stream_goes_where_it_was_meant_to_go() -> None:
    stdout, stderr = await shown(LIVE, "echo a; echo b >&2", "echo c; echo d >&2")
    assert sorted(stdout.splitlines()) == [b"a", b"c"]
    assert sorted(stderr.splitlines()) == [b"b", b"d"]


async def test_a_line_is_shown_before_its_job_ends(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    read, write = os.pipe()
    running = asyncio.create_task(
        Run(LIVE, [work(1, f"echo a; read x < {fifo}; echo b")]).run(write, None)
    )
    assert await asyncio.to_thread(os.read, read, 100) == b"a\n"
    await asyncio.to_thread(fifo.write_text, "\n")
    await running
    os.close(write)
    assert os.read(read, 100) == b"b\n"
    os.close(read)


async def test_a_last_line_without_an_end_gets_one() -> None:
    stdout, _ = await shown(TAGGED, "printf 'a\\nb'", "printf c")
    assert sorted(stdout.splitlines()) == [
        b"printf 'a\\nb'\ta",
        b"printf 'a\\nb'\tb",
        b"printf c\tc",
    ]
    assert stdout.endswith(b"\n")


async def test_others_do_not_break_a_line_that_is_longer_than_what_is_held(tmp_path: Path) -> None:
    fifo, go = tmp_path / "fifo", tmp_path / "go"
    os.mkfifo(fifo)
    os.mkfifo(go)
    came = 0

    def seen(event: Event) -> None:
        nonlocal came
        if isinstance(event, Output) and event.job == 1:
            before, came = came, came + len(event.data)
            if before < 2 * LONGEST <= came:  # the second writes in the middle of the line
                os.close(os.open(go, os.O_WRONLY))
        elif isinstance(event, Ended) and event.job == 2:
            os.close(os.open(fifo, os.O_WRONLY))

    zeros = f"head -c {3 * LONGEST} /dev/zero | tr '\\0' a"
    long = f"{zeros}; read x < {fifo}; {zeros}; echo; echo after"
    works = [work(1, long), work(2, f"read x < {go}; echo short")]
    stdout, _ = await Run(LIVE, works, seen=seen).into_files()
    assert stdout == b"short\n" + b"a" * 6 * LONGEST + b"\nafter\n"


async def test_a_retry_does_not_take_back_what_was_shown() -> None:
    stdout, _ = await shown(LIVE, "printf a; exit 1", retries=Retries(1, first=0.01))
    assert stdout == b"a\na\n"


async def test_each_job_has_its_colour_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "xterm")
    works = [work(1, "echo a"), work(2, "echo b")]
    assert sorted((await _on_a_terminal(works)).splitlines()) == [
        b"\x1b[32mecho a\x1b[0m\ta",
        b"\x1b[33mecho b\x1b[0m\tb",
    ]


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
async def test_no_colour_where_none_is_wanted(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(name, value)
    assert await _on_a_terminal([work(1, "echo a")]) == b"echo a\ta\n"


async def _on_a_terminal(works: list[Work]) -> bytes:
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    try:
        await Run(Form("live", tag=True, progress=False), works).run(theirs, theirs)
        return os.read(ours, 1000)
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize(
    ("blocks", "shown"),
    [
        ([b"a\nb\n"], b"T a\nT b\n"),
        ([b"a", b"b\nc"], b"T ab\nT c"),
        ([b"\n", b"\n"], b"T \nT \n"),
        ([b"a\n", b"b"], b"T a\nT b"),
    ],
)
def test_tags_stand_at_the_beginning_of_lines_alone(blocks: list[bytes], shown: bytes) -> None:
    tagger = Tagger(b"T ")
    assert b"".join(bytes(piece) for block in blocks for piece in tagger(block)) == shown
