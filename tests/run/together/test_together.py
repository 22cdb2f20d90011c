"""Real commands side by side: output, ends, restarts, and what is left of them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from netkit.clients.run.together import asked, run
from netkit.clients.run.together.settings import Restarting
from netkit.errors import NetkitError
from netkit.stdio import OutputClosedError
from tests.run.together.side_by_side import LONG, Console, Outcome, Witness, sh

FAST = Restarting(first=0.01, most=0.05)


async def test_lines_are_prefixed_and_streams_kept_apart(console: Console) -> None:
    ended = await console.together(
        f"web: {sh('echo one; echo oops >&2; printf two')}", "worker: echo three"
    )
    assert sorted(ended.out) == ["web    | one", "web    | two", "worker | three"]
    assert ended.out.index("web    | one") < ended.out.index("web    | two")
    assert sorted(ended.err) == [
        "web    * exit status 0",
        "web    * started",
        "web    | oops",
        "worker * exit status 0",
        "worker * started",
    ]
    assert ended.status == 0


async def test_colours_and_quiet(console: Console) -> None:
    ended = await console.together("a: echo x", "b: true", colour=True, quiet=True)
    assert ended.out == ["\x1b[0;36ma | \x1b[0mx"]
    assert ended.err == []


async def test_lines_of_many_stay_whole(console: Console) -> None:
    count, size = 20_000, 97
    names = [f"job{number}" for number in range(6)]
    script = f"yes $(printf %0{size}d 0) | head -n {count}"
    ended = await console.together(*(f"{name}: {sh(script)}" for name in names))
    assert Counter(ended.out) == {f"{name} | {'0' * size}": count for name in names}


async def test_a_slow_reader_holds_up_commands_and_costs_no_memory(holders: Witness) -> None:
    reading, writing = os.pipe()
    total = 32 * 1024 * 1024
    settings = asked([f"a: {holders.held(f'yes 12345678 | head -c {total}')}"], quiet=True)
    running = asyncio.create_task(run(settings, writing, None))
    running.add_done_callback(lambda _: os.close(writing))
    loop, read = asyncio.get_running_loop(), 0
    while data := await loop.run_in_executor(None, os.read, reading, 1 << 20):
        read += len(data)
    os.close(reading)
    assert await running == 0
    lines = -(-total // 9)
    assert read == total + lines * len(b"a | ") + (1 if total % 9 else 0)


@pytest.mark.parametrize(
    ("success", "status"), [("all", 3), ("first", 0), ("last", 3), ("good", 0), ("bad", 3)]
)
async def test_success(console: Console, success: str, status: int) -> None:
    # Two steps, so that their order is sure.
    ended = await console.together(
        "good: true", f"bad: {sh('exit 3')}", ready=["good=exit"], success=success
    )
    assert ended.status == status


async def test_a_signal_is_a_status_as_a_shell_has_it(console: Console) -> None:
    ended = await console.together(f"a: {sh('kill -9 $$')}")
    assert ended.status == 137
    assert "a * SIGKILL" in ended.err


async def test_what_does_not_exist(console: Console) -> None:
    ended = await console.together("a: no-such-program", "b: true", quiet=True)
    assert ended.status == 127
    assert ended.err == ["a * no-such-program: command not found; give its path"]


async def test_kill_others(console: Console, holders: Witness) -> None:
    ended = await console.together(
        f"a: {holders.held(LONG)}", f"b: {holders.held('true')}", kill_others=True
    )
    await holders.all_gone()
    assert ended.status == 0
    assert ended.err[-2:] == ["a * SIGTERM sent", "a * SIGTERM"]


async def test_kill_others_on_fail(console: Console, holders: Witness) -> None:
    ended = await console.together(
        "step: true",
        f"a: {holders.held(LONG)}",
        "good: true",
        f"bad: {sh('exit 7')}",
        ready=["step=exit", "good=exit"],
        kill_others_on_fail=True,
    )
    await holders.all_gone()
    assert ended.status == 7
    assert "a    * SIGTERM" in ended.err
    assert ended.place("good * exit status 0") < ended.place("bad  * started")


async def test_a_step_is_not_the_end_of_all(console: Console) -> None:
    ended = await console.together(
        "step: true", "a: echo on", ready=["step=exit"], kill_others=True
    )
    assert ended.out == ["a    | on"]
    assert ended.status == 0


async def restarted(console: Console, *commands: str, **flags: Any) -> Outcome:
    settings = asked(commands, **flags)
    return await console.run(
        replace(settings, restarting=replace(FAST, times=settings.restarting.times))
    )


async def test_restarts_after_failures(console: Console) -> None:
    ended = await restarted(console, f"a: {sh('echo x; exit 4')}", restart="2")
    assert ended.status == 4
    assert ended.out == ["a | x"] * 3
    again = [line for line in ended.err if "exit status 4; starts again in 0.0" in line]
    assert len(again) == 2
    ended = await restarted(console, "a: echo x", restart="2")
    assert ended.out == ["a | x"]


async def test_restarts_always_until_it_is_cancelled(
    console: Console, tmp_path: Path, holders: Witness
) -> None:
    starts = tmp_path / "starts"
    os.mkfifo(starts)
    settings = asked([f"a: {holders.held(f'echo x > {starts}')}"], restart="always")
    settings = replace(settings, restarting=replace(FAST, times=None))
    running = asyncio.create_task(console.run(settings))
    loop = asyncio.get_running_loop()
    said = ""  # one reading may take in several starts, if they come faster than it ends
    while len(said) < len("x\n") * 3:
        said += await loop.run_in_executor(None, starts.read_text)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert set(said.splitlines()) == {"x"}
    await holders.all_gone()


async def test_what_a_command_leaves_in_its_group_ends_with_it(
    console: Console, holders: Witness
) -> None:
    ended = await console.together(f"a: {holders.held(f'{LONG} & {LONG} & echo up')}")
    await holders.all_gone()
    assert ended.out == ["a | up"]
    assert ended.status == 0


async def test_one_that_ignores_term_is_killed_with_its_children(
    console: Console, holders: Witness
) -> None:
    deaf = f"trap '' TERM; {LONG} & echo deaf; wait; {LONG}"
    ended = await console.together(
        f"deaf: {holders.held(deaf)}",
        "b: true",
        ready=["deaf=line:deaf"],
        kill_others=True,
        grace=0.2,
    )
    await holders.all_gone()
    assert ended.err[-3:] == ["deaf * SIGTERM sent", "deaf * SIGKILL sent", "deaf * SIGKILL"]
    assert ended.status == 0


async def test_last_words_are_heard(console: Console) -> None:
    script = "trap 'echo bye; echo really >&2; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    ended = await console.together(
        f"a: {sh(script)}", "b: true", ready=["a=line:up"], kill_others=True
    )
    assert ended.out == ["a | up", "a | bye"]
    assert "a | really" in ended.err


async def test_an_escaped_grandchild_that_holds_the_pipe_holds_up_nothing(
    console: Console,
) -> None:
    ended = await console.together(f"a: {sh(f'setsid {LONG} & echo $!')}")
    assert ended.status == 0
    (line,) = ended.out  # it is not of the group: a daemon on purpose
    os.kill(int(line.removeprefix("a | ")), signal.SIGKILL)


async def test_a_reader_that_has_gone_ends_all(holders: Witness) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        with pytest.raises(OutputClosedError):
            await run(asked([f"a: {holders.held('yes')}", holders.held(LONG)]), writing, None)
    finally:
        os.close(writing)
    await holders.all_gone()


async def test_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(NetkitError) as caught:
        await run(asked(["yes"], quiet=True), full.fileno(), None)
    assert str(caught.value) == "standard output cannot be written: No space left on device"


async def test_a_procfile_and_its_variables(console: Console, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "Procfile").write_text("web: sh -c 'pwd; echo $GREETING'\nother: echo x\n")
    (folder / ".env").write_text("GREETING='hello you'\n")
    ended = await console.together("web", file=folder / "Procfile")
    assert ended.out == [f"web | {folder}", "web | "]
    ended = await console.together("web", file=folder / "Procfile", env_file=folder / ".env")
    assert ended.out == [f"web | {folder}", "web | hello you"]


async def test_a_shell_if_asked(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "80")
    ended = await console.together("web: echo $PORT | tr 8 9 && echo done", shell=True)
    assert ended.out == ["web | 90", "web | done"]
