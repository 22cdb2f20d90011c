"""How late ticks are: ``python -m benchmarks.pacing``.

A tick each millisecond: netkit's `Ticker` beside the two ways that everybody writes, a loop of
`asyncio.sleep` and one of `call_at`, on both loops. They take turns, a slice each; the
error of the n-th tick is its distance from start + n ms. A sleeping loop drifts, so its error
grows with its slice; `call_at` does not, which makes it the one to compare with. Beside them
the machine itself: a process that does nothing but sleep until the next tick is due
(clock_nanosleep(2)).
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from statistics import median, quantiles

from benchmarks.command import Asked, Found, run
from benchmarks.compare import Spread
from benchmarks.peers.loops import LOOPS
from benchmarks.process import BenchmarkError
from benchmarks.table import markdown, progress, ratio
from benchmarks.verdict import standing

from netkit.ticker import Schedule, Ticker

PERIOD_MS = 1
TICKS = 60_000
"""Of each way on each loop: a minute."""
TICKS_QUICK = 300
AIM = 1 / 6
HEADER = ["loop", "way", "p50 µs", "p99 µs", "worst µs", "p99 ÷ call_at", "missed", "CPU µs each"]

Errors = list[int]


@dataclass(frozen=True)
class Slice:
    """Nanoseconds by which each tick was late (early: less than 0), and seconds of CPU.

    Ticks that were missed are among them, as late as when they were told of.
    """

    loop: str
    way: str
    errors: Errors
    missed: int
    cpu: float

    def percentile(self, percent: int) -> float:
        """Microseconds by which so many per cent of the ticks were late or early at most."""
        return quantiles(map(abs, self.errors), n=100, method="inclusive")[percent - 1] / 1e3


async def by_ticker(ticks: int) -> tuple[Errors, int]:
    """`netkit.ticker`."""
    errors: Errors = []
    with Ticker(PERIOD_MS / 1e3) as ticker:
        async for number, missed in ticker:
            now = time.monotonic_ns()
            told = range(number - missed, number + 1)
            errors += [now - ticker.schedule.at(each) for each in told]
            if number >= ticks - 1:
                return errors, ticker.missed
    raise AssertionError("a ticker does not end")


async def by_call_at(ticks: int) -> tuple[Errors, int]:
    """`loop.call_at`, again and again, each at its place in the schedule."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    schedule = Schedule(time.monotonic_ns(), PERIOD_MS * 1_000_000)
    start = loop.time()
    errors: Errors = []

    def tick() -> None:
        errors.append(time.monotonic_ns() - schedule.at(len(errors)))
        if len(errors) == ticks:
            over.set_result(None)
        else:
            loop.call_at(start + len(errors) * PERIOD_MS / 1e3, tick)

    tick()
    await over
    return errors, 0


async def by_kernel(ticks: int) -> tuple[Errors, int]:
    """No loop at all: the thread itself sleeps until each tick is due."""
    schedule = Schedule(time.monotonic_ns(), PERIOD_MS * 1_000_000)
    errors: Errors = []
    for number in range(ticks):
        wait = schedule.at(number) - time.monotonic_ns()
        if wait > 0:
            time.sleep(wait / 1e9)  # what is measured
        errors.append(time.monotonic_ns() - schedule.at(number))
    return errors, 0


async def by_sleep(ticks: int) -> tuple[Errors, int]:
    """`asyncio.sleep` in a loop."""
    schedule = Schedule(time.monotonic_ns(), PERIOD_MS * 1_000_000)
    errors: Errors = []
    for number in range(ticks):
        errors.append(time.monotonic_ns() - schedule.at(number))
        await asyncio.sleep(PERIOD_MS / 1e3)  # the peer: what is measured
    return errors, 0


WAYS: dict[str, Callable[[int], Awaitable[tuple[Errors, int]]]] = {
    "Ticker": by_ticker,
    "call_at": by_call_at,
    "sleep": by_sleep,
    "no loop": by_kernel,
}


def measured(asked: Asked) -> Found:
    """All ways by turns, on each loop."""
    ticks = TICKS_QUICK if asked.quick else TICKS // asked.rounds
    slices: list[Slice] = []
    for turn in range(asked.rounds):
        progress(f"round {turn + 1} of {asked.rounds}")
        for loop in asked.loops:
            for way in list(WAYS)[:: 1 if turn % 2 else -1]:
                if asked.wants(f"{loop}, {way}"):
                    slices.append(one(loop, way, ticks))
    if not slices:
        raise BenchmarkError("--only leaves nothing")
    return Found(f"{table(slices)}\n\n{verdict(slices)}", [asdict(each) for each in slices])


def one(loop: str, way: str, ticks: int) -> Slice:
    """A slice of ticks in a loop of its own."""
    used = time.process_time()
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        errors, missed = runner.run(ticking(way, ticks))
    return Slice(loop, way, errors, missed, time.process_time() - used)


async def ticking(way: str, ticks: int) -> tuple[Errors, int]:
    """A way as the coroutine that a runner wants."""
    return await WAYS[way](ticks)


def table(slices: list[Slice]) -> str:
    """A row for each loop and way: medians of its slices."""
    rows = []
    for loop, way in dict.fromkeys((each.loop, each.way) for each in slices):
        of = [each for each in slices if (each.loop, each.way) == (loop, way)]
        compared = ratios(slices, loop, way)
        count = sum(len(each.errors) for each in of)
        rows.append(
            [
                loop,
                way,
                f"{median(each.percentile(50) for each in of):,.0f}",
                f"{median(each.percentile(99) for each in of):,.0f}",
                f"{max(max(map(abs, each.errors)) for each in of) / 1e3:,.0f}",
                ratio(compared) if compared and way != "call_at" else "",
                f"{sum(each.missed for each in of):,} of {count:,}",
                f"{sum(each.cpu for each in of) / count * 1e6:.1f}",
            ]
        )
    return markdown(HEADER, rows)


def ratios(slices: list[Slice], loop: str, way: str) -> Spread | None:
    """P99 of a way over that of `call_at` in the same round."""
    p99 = {
        name: [each.percentile(99) for each in slices if (each.loop, each.way) == (loop, name)]
        for name in (way, "call_at")
    }
    found = [mine / its for mine, its in zip(p99[way], p99["call_at"], strict=False) if its > 0]
    return Spread.of(found) if found else None


def verdict(slices: list[Slice]) -> str:
    """The aim, judged on each loop."""
    lines = []
    for loop in dict.fromkeys(each.loop for each in slices):
        if compared := ratios(slices, loop, "Ticker"):
            stands = standing(compared, at_most=AIM)
            text = f"{loop}: p99 of Ticker at most one sixth of call_at's"
            lines.append(f"- {text}: {stands}, {ratio(compared)}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    return run("pacing", "How late ticks are.", measured, rounds=12, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
