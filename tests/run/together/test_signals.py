"""Signals to the process that runs commands together, and to it alone."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from netkit.subprocesses.command import Command, Surroundings, WindowSize
from netkit.subprocesses.events import Event, Output
from netkit.subprocesses.helpers import Helpers
from netkit.subprocesses.job import Bounds, Job
from tests.run.together.side_by_side import LONG, Witness, sh
from tests.runtime.process import COMMAND, ServerProcess


@asynccontextmanager
async def running(*words: str, loop: str, to: int = PIPE) -> AsyncIterator[ServerProcess]:
    """``netkit run --together``, until the block's end."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "run", "--together", "--loop", loop, *words,
        stdin=DEVNULL, stdout=to, stderr=PIPE,
    )  # fmt: skip
    it = ServerProcess(process)
    try:
        yield it
    finally:
        if process.returncode is None:
            # Not `process.kill`: it looks for the status itself, and the loop would miss it.
            os.kill(process.pid, signal.SIGKILL)
        await asyncio.gather(it.ended(), output(it))


async def output(it: ServerProcess) -> list[str]:
    """All that is left of it, to its end."""
    data = await it.process.stdout.read() if it.process.stdout else b""
    return data.decode().splitlines()


def polite(names: str) -> str:
    """Says which of these signals ended it, once it has said that it is up."""
    traps = "; ".join(f"trap 'echo {name}; exit 0' {name}" for name in names.split())
    return f"{traps}; echo up >&2; while :; do sleep 0.05; done"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_signal_is_passed_on_and_died_by(
    loop: str, holders: Witness, number: signal.Signals
) -> None:
    commands = (f"a: {holders.held(polite('INT TERM'))}", f"b: {holders.held(polite('INT TERM'))}")
    async with running(*commands, loop=loop) as it:
        await it.logged("| up", 2)
        it.signal(number)
        name = number.name.removeprefix("SIG")
        assert sorted(await output(it)) == [f"a | {name}", f"b | {name}"]
        assert await it.ended() == -number
        assert len(await it.logged(f"* {number.name} sent")) == 2
    await holders.all_gone()


async def test_after_the_grace_they_are_killed(loop: str, holders: Witness) -> None:
    deaf = holders.held(f"trap '' INT TERM; echo up >&2; {LONG}")
    async with running("--grace", "0.2", f"a: {deaf}", loop=loop) as it:
        await it.logged("| up")
        it.signal(signal.SIGINT)
        assert await it.ended() == -signal.SIGINT
    await holders.all_gone()


async def test_a_second_signal_kills_at_once(loop: str, holders: Witness) -> None:
    deaf = holders.held(f"trap '' INT TERM; echo up >&2; {LONG}")
    async with running("--grace", "1000", f"a: {deaf}", loop=loop) as it:
        await it.logged("| up")
        it.signal(signal.SIGINT)
        await it.logged("SIGINT sent")
        it.signal(signal.SIGINT)
        assert await it.ended() == -signal.SIGINT
    await holders.all_gone()


async def test_one_that_is_stopped_hears_it_too(loop: str, holders: Witness) -> None:
    async with running(f"a: {holders.held('echo up >&2; kill -STOP $$')}", loop=loop) as it:
        await it.logged("| up")
        it.signal(signal.SIGTERM)
        assert await it.ended() == -signal.SIGTERM
    await holders.all_gone()


async def test_nothing_is_started_any_more(loop: str, holders: Witness) -> None:
    commands = (f"a: {holders.held('exit 1')}", f"b: {holders.held(LONG)}", "c: echo never")
    flags = ("--ready", "b=line:on", "--restart", "100000")
    async with running(*flags, *commands, loop=loop) as it:
        await it.logged("starts again")
        await it.logged("b * started")
        it.signal(signal.SIGTERM)
        assert await output(it) == []
        assert await it.ended() == -signal.SIGTERM
        assert "c * started" not in it.log
    await holders.all_gone()


async def test_hangup_is_the_commands_affair(loop: str) -> None:
    reloading = "trap 'echo reloaded >&2' HUP; trap 'exit 0' TERM; echo up >&2; "
    async with running(f"a: {sh(f'{reloading} while :; do sleep 0.05; done')}", loop=loop) as it:
        await it.logged("| up")
        it.signal(signal.SIGHUP)
        await it.logged("| reloaded")
        it.signal(signal.SIGTERM)
        assert await it.ended() == -signal.SIGTERM


async def test_nobody_reads_but_a_signal_ends_it(loop: str, holders: Witness) -> None:
    reading, writing = os.pipe()
    async with running(f"a: {holders.held('yes')}", loop=loop, to=writing) as it:
        os.close(writing)
        await asyncio.get_running_loop().run_in_executor(None, os.read, reading, 1)
        it.signal(signal.SIGINT)
        assert await it.ended() == -signal.SIGINT
    os.close(reading)
    await holders.all_gone()


async def test_nothing_outlives_one_that_is_killed(loop: str, holders: Witness) -> None:
    async with running(f"a: {holders.held(f'echo up >&2; {LONG}')}", loop=loop) as it:
        await it.logged("| up")
        it.signal(signal.SIGKILL)
        assert await it.ended() == -signal.SIGKILL
    await holders.all_gone()


async def test_ctrl_c_at_a_terminal(loop: str, holders: Witness) -> None:
    words = (*COMMAND, "run", "--together", "--loop", loop, f"a: {holders.held(polite('INT'))}")
    shown, typed = bytearray(), asyncio.Event()
    environment = {**os.environ, "NO_COLOR": "", "TERM": "xterm"}
    command = Command(
        words, terminal=WindowSize(24, 80), surroundings=Surroundings(env=environment)
    )

    def hear(event: Event, job: Job) -> bool:
        if isinstance(event, Output):
            shown.extend(event.data)
            if b"up" in shown:
                typed.set()
        return True

    job = Job(1, command, hear, bounds=Bounds(), lines=False)
    spawner = Helpers(1)
    running = asyncio.create_task(job.run(spawner))
    try:
        await typed.wait()
        assert job.stdin
        await job.stdin.write(b"\x03")
        end = await running
    finally:
        await spawner.close()
    assert end.signal == signal.SIGINT
    assert b"\x1b[0;36ma | \x1b[0mINT\r\n" in shown
    await holders.all_gone()
