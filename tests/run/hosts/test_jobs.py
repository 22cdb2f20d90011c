"""Jobs on a real host: words, bytes, ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from netkit.subprocesses.command import Command, Stdio, Surroundings
from tests.run.hosts.jobs import ran, using
from tests.run.hosts.sshd import Sshd

Start = Callable[..., Sshd]
WORDS = ["", "a b", "it's", "$HOME", "*", "`id`", "a\nb", "\n", "\\", "!!", '"', "-n", "ü\udcff"]


async def test_words_reach_the_program_as_they_are(host: Start) -> None:
    async with using(host()) as spawner:
        ends, written = await ran(spawner, [("printf", "%s\\0", *WORDS)])
    assert (ends[1].status, ends[1].reason) == (0, "exit")
    assert written[1, "stdout"].split(b"\0")[:-1] == [os.fsencode(word) for word in WORDS]


async def test_statuses_and_signals(host: Start) -> None:
    commands = [("sh", "-c", f"exit {status}") for status in (0, 1, 127, 137, 255)]
    commands += [("sh", "-c", f"kill -{name} $$") for name in ("KILL", "TERM", "SEGV", "USR1")]
    async with using(host()) as spawner:
        ends, _ = await ran(spawner, commands)
    assert [ends[job].status for job in range(1, 6)] == [0, 1, 127, 137, 255]
    expected = [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGUSR1]
    assert [ends[job].signal for job in range(6, 10)] == expected
    assert {end.reason for end in ends.values()} == {"exit"}


async def test_both_streams_are_kept_apart_or_become_one(host: Start) -> None:
    words = ("sh", "-c", "printf 1; printf 2 >&2; printf 3; printf 4 >&2")
    merged = Command(words, stderr=Stdio.STDOUT)
    async with using(host()) as spawner:
        _, written = await ran(spawner, [words, merged])
    assert written == {(1, "stdout"): b"13", (1, "stderr"): b"24", (2, "stdout"): b"1234"}


async def test_input_is_empty_and_surroundings_are_those_asked_for(
    host: Start, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "it's here"
    around = Surroundings(cwd=folder, umask=0o027, nice=3)
    clean = Surroundings(env={"A": "x y"})
    async with using(host(), environment={"GIVEN": "a'b\nc"}) as spawner:
        ends, written = await ran(
            spawner,
            [
                Command(("sh", "-c", "cat; pwd; umask; nice; echo $GIVEN"), surroundings=around),
                Command(("/usr/bin/env",), surroundings=clean),
            ],
        )
    assert [end.status for end in ends.values()] == [0, 0]
    assert written[1, "stdout"] == f"{folder}\n0027\n3\na'b c\n".encode()
    assert written[2, "stdout"] == b"A=x y\n"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("nosuchprogram",), "command not found on"),
        (("a\0b",), "a word holds a NUL"),
        ((), "no command is given"),
        (Command(("cat",), stdin=Stdio.PIPE), "it has no terminal and no input"),
        (Command(("id",), surroundings=Surroundings(user="nobody")), "cannot be set on another"),
        (Command(("id",), surroundings=Surroundings(cwd=Path("/dev/null/x"))), "cannot be made"),
    ],
)
async def test_what_cannot_be_started(
    command: Command | tuple[str, ...], why: str, host: Start
) -> None:
    async with using(host()) as spawner:
        ends, written = await ran(spawner, [command, ("echo", "next")], limit=1)
    assert ends[1].reason == "not started"
    assert why in ends[1].error
    assert written == {(2, "stdout"): b"next\n"}


async def test_long_words(host: Start) -> None:
    word = "x" * 100_000
    async with using(host()) as spawner:
        _, written = await ran(spawner, [("printf", "%s", word, word, word)])
    assert written[1, "stdout"] == 3 * word.encode()


async def test_bytes_into_a_file(host: Start, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(data := os.urandom(1 << 20) + bytes(range(256)))
    fd = os.open(tmp_path / "out", os.O_CREAT | os.O_WRONLY)
    async with using(host()) as spawner:
        ends, _ = await ran(spawner, [Command(("cat", str(tmp_path / "in")), stdout=fd)])
    os.close(fd)
    assert ends[1].status == 0
    assert (tmp_path / "out").read_bytes() == data
