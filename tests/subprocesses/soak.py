"""Many jobs, and what is left of them: ``python -m tests.subprocesses.soak --jobs 100000``.

Counts descriptors, children and memory of this process and its helpers after each tenth.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from pathlib import Path

from netkit.loops import loop_factory
from netkit.subprocesses.events import Ended
from netkit.subprocesses.runner import Runner
from tests.subprocesses.conftest import children
from tests.subprocesses.jobs import descriptors


def resident(pid: int) -> int:
    """Bytes in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


async def soaked(jobs: int, limit: int) -> None:
    """Run them, and print a line for each tenth."""
    failed = ended = 0
    began = time.monotonic()
    async with Runner(limit) as runner:
        for _ in range(10):
            async for event in runner.map(["/bin/true"] for _ in range(jobs // 10)):
                if type(event) is Ended:
                    ended += 1
                    failed += event.end.code != 0
            helpers = children(os.getpid())
            grandchildren = sum(len(children(pid)) for pid in helpers)
            sizes = [resident(pid) / 1e6 for pid in (os.getpid(), *sorted(helpers))]
            say(
                f"{ended:,} jobs, {ended / (time.monotonic() - began):,.0f}/s, {failed} failed, "
                f"{len(descriptors())} descriptors, {grandchildren} children left, "
                f"MB: {' '.join(f'{size:.1f}' for size in sizes)}"
            )
    say(f"{len(children(os.getpid()))} children, {len(descriptors())} descriptors at the end")


def say(line: str) -> None:
    """Print it at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """As the command line asks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--limit", type=int, default=32)
    parser.add_argument("--loop", default="uvloop")
    asked = parser.parse_args()
    with asyncio.Runner(loop_factory=loop_factory(asked.loop)) as runner:
        runner.run(soaked(asked.jobs, asked.limit))


if __name__ == "__main__":
    main()
