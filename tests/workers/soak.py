"""Reloads and kills under constant connections: who was refused, who was reset?

The long run, on both loops::

    python -m tests.workers.soak --seconds 60

A connection counts as lost only if its worker lived on: what a killed worker had
accepted, the kernel resets.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.runtime.process import LOOPS, ServerProcess, serving
from tests.runtime.talkers import Talker
from tests.workers.crew import ON_TCP, WHO, echoes, workers

CLIENTS = 8
PERIOD = 1.0
"""Seconds between two disturbances."""


@dataclass
class Soak:
    """What happened to the connections of one run."""

    port: int
    chance: random.Random
    killed: set[int] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def come_and_go(self) -> None:
        """One client after the other, until it is over."""
        while not self.over.is_set():
            kills = len(self.killed)
            fate = await self.visit()
            # Reset before it said who it was: it may have been the one that was killed.
            if fate == "lost unnamed" and len(self.killed) > kills:
                fate = "accepted by a killed worker"
            self.counts[fate] += 1

    async def visit(self) -> str:
        """Connect, talk for a moment, leave."""
        pid = 0
        try:
            talker = await Talker.connect(self.port)
        except ConnectionRefusedError:
            return "refused"
        try:
            said = b""
            while not said.endswith(b"\n"):
                data = await talker.read()
                if not data:
                    return "lost unnamed"
                said += data
            pid = int(said)
            well = await echoes(talker, b"x" * self.chance.randint(1, 5000) + b"\n")
        except ConnectionError:
            well = False
        finally:
            talker.sock.close()
        if well:
            return "served"
        if not pid:
            return "lost unnamed"
        return "accepted by a killed worker" if pid in self.killed else "lost"

    async def disturb(self, server: ServerProcess, seconds: float) -> None:
        """Reload, or kill one worker, once a period; until each has happened, at the least."""
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        while clock() < end or not (self.counts["reloads"] and self.counts["kills"]):
            if self.chance.random() < 0.5:
                server.signal(signal.SIGHUP)
                self.counts["reloads"] += 1
            elif alive := sorted(workers(server)):
                victim = self.chance.choice(alive)
                self.killed.add(victim)
                os.kill(victim, signal.SIGKILL)
                self.counts["kills"] += 1
            await asyncio.sleep(PERIOD)  # the pace of the disturbances
        self.over.set()


async def soak(folder: Path, loop: str, seconds: float, seed: int) -> Counter[str]:
    """One run; what became of all connections, and how often they were disturbed."""
    path = folder / "app.py"
    path.write_text(WHO)
    words = (f"{path}:handle", *ON_TCP, "--workers", 3)
    async with serving(*words, loop=loop) as server:
        run = Soak(server.ports[0], random.Random(seed))
        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(run.come_and_go())
            group.create_task(run.disturb(server, seconds))
        await server.stop()
    return run.counts


def main() -> None:
    """Run it on both loops and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    for loop in LOOPS:
        with tempfile.TemporaryDirectory() as folder:
            counts = asyncio.run(soak(Path(folder), loop, asked.seconds, asked.seed))
        sys.stdout.write(f"{loop}: {dict(counts)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
