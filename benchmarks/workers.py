"""Two workers on two cores against one: ``python -m benchmarks.workers``.

On a machine with two cores the load generator competes with the second worker. So each
job is measured in three settings by turns, and the columns tell apart what is netkit's
and what is the machine's:

one    one process on one core, the generator alone on the other
same   two workers on one and the same core, the generator alone on the other:
       what the CPU for an operation grows by is the price of splitting the work
two    two workers on two cores, the generator wherever there is room
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from multiprocessing import get_context
from statistics import median

from benchmarks.command import Asked, Found, run
from benchmarks.compare import Spread
from benchmarks.crew import crewed, keep_on
from benchmarks.jobs import JOBS, Job, Turn
from benchmarks.process import BenchmarkError, cores, pin, running
from benchmarks.table import markdown, number, progress, ratio
from benchmarks.verdict import standing

HEADER = [
    "job",
    "loop",
    "one/s",
    "two/s",
    "two ÷ one",
    "cores one had",
    "cores two had",
    "CPU µs one",
    "same ÷ one",
    "two ÷ one",
    "capacity two ÷ one",
]
WHAT = "The machine: two processes that only count, on two cores, do {} of one's work."


@dataclass(frozen=True)
class Row:
    """One job on one loop; what was found at the same place belongs to the same turn."""

    job: str
    loop: str
    aim: float
    one: list[Turn] = field(default_factory=list)
    same: list[Turn] = field(default_factory=list)
    two: list[Turn] = field(default_factory=list)

    @property
    def faster(self) -> Spread:
        """The rate of two over that of one."""
        return Spread.of([b.rate / a.rate for a, b in zip(self.one, self.two, strict=True)])

    @property
    def capacity(self) -> Spread:
        """How much more two cores that are all the workers' would do than one."""
        return Spread.of([2 * a.cpu_us / b.cpu_us for a, b in self.pairs(self.two)])

    def dearer(self, other: list[Turn]) -> Spread:
        """The CPU for an operation over that of one."""
        return Spread.of([b.cpu_us / a.cpu_us for a, b in self.pairs(other)])

    def pairs(self, other: list[Turn]) -> list[tuple[Turn, Turn]]:
        """The turns of one beside another setting's."""
        return list(zip(self.one, other, strict=True))

    def cells(self) -> list[str]:
        """The row as text."""
        return [
            self.job,
            self.loop,
            *[number(median(each.rate for each in turns)) for turns in (self.one, self.two)],
            ratio(self.faster),
            *[number(median(each.cores for each in turns)) for turns in (self.one, self.two)],
            number(median(each.cpu_us for each in self.one)),
            ratio(self.dearer(self.same)),
            ratio(self.dearer(self.two)),
            ratio(self.capacity),
        ]

    def verdict(self) -> str:
        """Whether what was promised is shown, by the rate and by the capacity."""
        rate, capacity = (
            standing(each, at_least=self.aim) for each in (self.faster, self.capacity)
        )
        return f"- {self.job}, {self.loop}: at least {self.aim}: rate {rate}, capacity {capacity}"


def measured(asked: Asked) -> Found:
    """All jobs on all loops, and how much the machine itself gives to a second process."""
    if cores()[1] is None:
        raise BenchmarkError("two workers need two cores, and there is one")
    rows: list[Row] = []
    ceilings: list[float] = []
    for loop in asked.loops:
        for job in JOBS:
            if asked.wants(f"{job.name}, {loop}"):
                progress(f"{loop}: {job.name}")
                row = Row(job.name, loop, job.aim)
                ceilings.extend(turns(row, job, asked))
                rows.append(row)
    if not rows:
        raise BenchmarkError("--only leaves no job")
    text = [
        markdown(HEADER, [row.cells() for row in rows]),
        WHAT.format(ratio(Spread.of(ceilings))),
        "\n".join(row.verdict() for row in rows),
    ]
    return Found("\n\n".join(text), {"rows": [asdict(row) for row in rows], "machine": ceilings})


def turns(row: Row, job: Job, asked: Asked) -> Iterator[float]:
    """Fill a row, turn by turn; yields what the machine itself did in each."""
    seconds = 0.1 if asked.quick else 0.5
    first, second = cores()
    with (
        running(f"one {job.name} {row.loop}", job.command(row.loop, 1)) as one,
        crewed(f"two {job.name} {row.loop}", job.command(row.loop, 2)) as two,
    ):

        def split(alone: bool) -> Turn:
            keep_on(two.workers, [first] if alone else [first, second])
            return job.load(two, alone, seconds)

        settings: list[tuple[list[Turn], Callable[[], Turn]]] = [
            (row.one, lambda: job.load(one, True, seconds)),
            (row.same, lambda: split(alone=True)),
            (row.two, lambda: split(alone=False)),
        ]
        for _ in range(asked.rounds):
            for found, measure in settings:
                found.append(measure())
            settings.reverse()
            yield ceiling(seconds / 2)


def ceiling(seconds: float) -> float:
    """What two busy processes do on two cores, over what one does on one."""
    (first,), (second,) = counting([cores()[0]], seconds), counting([cores()[1]], seconds)
    return sum(counting(cores(), seconds)) / ((first + second) / 2)


def counting(on: list[int | None] | tuple[int | None, ...], seconds: float) -> list[int]:
    """How far a process on each of these cores counts, at the same time."""
    # Not a Pool: that one's end can wait for ever for a lock that a process took along.
    with ProcessPoolExecutor(len(on), get_context("fork")) as pool:
        return list(pool.map(partial(count, seconds), on))


def count(seconds: float, core: int | None) -> int:
    """Count for a while on a core."""
    pin(core)
    counted, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        counted += sum(1 for _ in range(1000))
    return counted


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    return run("workers", "Two workers against one.", measured, rounds=9, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
