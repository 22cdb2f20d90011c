"""A supervisor and its workers as one server: their processes, their cores, their CPU."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from benchmarks.process import Server, running


@dataclass(frozen=True)
class Crew(Server):
    """A supervisor that runs, and its workers."""

    workers: tuple[int, ...]

    @property
    def pids(self) -> tuple[int, ...]:
        """See `Server`."""
        return (self.pid, *self.workers)


@contextmanager
def crewed(name: str, command: Sequence[str | Path]) -> Iterator[Crew]:
    """Run ``netkit serve … --workers N`` until the block ends."""
    with running(name, command) as server:
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        crew = Crew(server.pid, server.port, server.log, tuple(map(int, children)))
        try:
            yield crew
        finally:
            for pid in crew.pids:  # the supervisor first: it would start others
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def keep_on(pids: Sequence[int], cores: Sequence[int | None]) -> None:
    """Move each process, with all its threads, to the next of `cores`."""
    for pid, core in zip(pids, cycle(cores), strict=False):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            if core is not None:
                os.sched_setaffinity(int(thread.name), {core})


def cpu(pids: Sequence[int]) -> float:
    """Seconds of CPU that these processes have had so far, in user and system."""
    # The id of a process's CPU clock, as clock_getcpuclockid(3) makes it.
    return sum(time.clock_gettime(~pid << 3 | 2) for pid in pids)
