"""Commands run from a loop, for benchmarks/commands.py, each way by itself.

::

    python -m benchmarks.peers.commands start WAY LIMIT COUNT --loop uvloop
    python -m benchmarks.peers.commands stream WAY BYTES

``netkit`` is `netkit.Runner`, ``captured`` the same with both outputs read; ``plain`` is
asyncio's own `create_subprocess_exec`. Prints, on standard error, the seconds that it took and
the loop's longest lag meanwhile in milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable

from benchmarks.peers.loops import LOOPS

from netkit.subprocesses.command import Command, Stdio
from netkit.subprocesses.events import Output
from netkit.subprocesses.runner import Runner

BEAT = 0.001
TRUE = "/bin/true"


async def start_by_runner(limit: int, count: int, stdio: Stdio) -> None:
    """All events are taken and thrown away."""
    command = Command((TRUE,), stdout=stdio, stderr=stdio)
    async with Runner(limit) as runner:
        async for _ in runner.map(command for _ in range(limit)):  # its helpers start
            pass
        began()
        async for _ in runner.map(command for _ in range(count)):
            pass
        ended()


async def start_netkit(limit: int, count: int) -> None:
    """Outputs are ours, as xargs has it."""
    await start_by_runner(limit, count, Stdio.INHERIT)


async def start_captured(limit: int, count: int) -> None:
    """Outputs are read."""
    await start_by_runner(limit, count, Stdio.PIPE)


async def start_plain(limit: int, count: int) -> None:
    """So many tasks that each run one after the other."""
    numbers = iter(range(count))

    async def lane() -> None:
        for _ in numbers:
            process = await asyncio.create_subprocess_exec(TRUE)
            await process.wait()

    began()
    async with asyncio.TaskGroup() as group:
        for _ in range(limit):
            group.create_task(lane())
    ended()


async def stream_netkit(size: int) -> None:
    """Events of what was read."""
    left = size
    async with Runner(1, lines=False) as runner:
        async for _ in runner.map([["true"]]):  # its helper starts
            pass
        began()
        async for event in runner.map([["head", "-c", str(size), "/dev/zero"]]):
            if type(event) is Output:
                left -= len(event.data)
        ended()
    assert not left


async def stream_plain(size: int) -> None:
    """`StreamReader.read`."""
    left = size
    began()
    process = await asyncio.create_subprocess_exec(
        "head", "-c", str(size), "/dev/zero", stdout=PIPE
    )
    assert process.stdout
    while data := await process.stdout.read(1 << 20):
        left -= len(data)
    await process.wait()
    ended()
    assert not left


WAYS: dict[tuple[str, str], Callable[..., Awaitable[None]]] = {
    ("start", "netkit"): start_netkit,
    ("start", "captured"): start_captured,
    ("start", "plain"): start_plain,
    ("stream", "netkit"): stream_netkit,
    ("stream", "plain"): stream_plain,
}
_times: list[float] = []
_lags: list[float] = []


def began() -> None:
    """What is measured begins; a task notes how late the loop is."""
    _times.append(time.perf_counter())
    loop = asyncio.get_running_loop()

    def beat(due: float) -> None:
        now = loop.time()
        _lags.append(now - due)
        if len(_times) == 1:
            loop.call_at(now + BEAT, beat, now + BEAT)

    beat(loop.time())


def ended() -> None:
    """And ends."""
    _times.append(time.perf_counter())


async def _measured(what: str, way: str, numbers: list[int]) -> None:
    await WAYS[what, way](*numbers)


def main() -> None:
    """Do it once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what")
    parser.add_argument("way")
    parser.add_argument("numbers", type=int, nargs="+")
    parser.add_argument("--loop", choices=LOOPS, default="uvloop")
    asked = parser.parse_args()
    with asyncio.Runner(loop_factory=LOOPS[asked.loop]) as runner:
        runner.run(_measured(asked.what, asked.way, asked.numbers))
    first, last = _times
    print(f"{last - first:.6f} {max(_lags) * 1e3:.3f}", file=sys.stderr)


if __name__ == "__main__":
    main()
