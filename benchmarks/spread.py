"""How evenly the kernel spreads connections: ``python -m benchmarks.spread``.

1,000 connections are opened and held, each hears which worker serves it, and the
workers' shares are counted. Two measures: by how much a worker is off its equal share,
and what lies between the fullest worker and the emptiest, both in % of the equal share.
Beside them the chance with which the best possible hash would leave 20 %.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from math import exp, lgamma, log
from statistics import median

from benchmarks.command import Asked, Found, run
from benchmarks.contenders import listening, netkit
from benchmarks.crew import crewed
from benchmarks.process import BenchmarkError
from benchmarks.table import markdown, progress

WORKERS = (2, 4)
SOURCES = {"one address": 1, "250 addresses": 250}
AIM = 0.2
AT_ONCE = 50
"""Connections on their way at the same time: below every backlog."""

HEADER = [
    "workers",
    "from",
    "runs",
    "off the share, median",
    "worst",
    "chance of over 20 %",
    "apart, median",
    "worst",
    "over 20 %",
    "chance",
]


@dataclass(frozen=True)
class Count:
    """How many of the connections each worker got in one run."""

    loop: str
    scheme: str
    workers: int
    source: str
    shares: list[int]

    @property
    def off(self) -> float:
        """The largest deviation of a worker from the equal share, relative to that."""
        equal = sum(self.shares) / len(self.shares)
        return max(abs(share - equal) for share in self.shares) / equal

    @property
    def apart(self) -> float:
        """What lies between the fullest worker and the emptiest, relative to the equal share."""
        return (max(self.shares) - min(self.shares)) / (sum(self.shares) / len(self.shares))


def measured(asked: Asked) -> Found:
    """Both loops, TCP and TLS, two and four workers, one source address and many."""
    connections = 100 if asked.quick else 1000
    counts: list[Count] = []
    for loop in asked.loops:
        for scheme in ("tcp", "tls"):
            for workers in WORKERS[:1] if asked.quick else WORKERS:
                if asked.wants(f"{workers} workers, {scheme}, {loop}"):
                    progress(f"{workers} workers, {scheme}, {loop}")
                    counts.extend(spreads(loop, scheme, workers, connections, asked.rounds))
    if not counts:
        raise BenchmarkError("--only leaves nothing")
    return Found(table(counts), [asdict(count) for count in counts])


def spreads(loop: str, scheme: str, workers: int, connections: int, rounds: int) -> Iterator[Count]:
    """Shares of one server's workers, again and again."""
    words = ("benchmarks/peers/who.py:handle", *listening(scheme, loop))
    command = netkit(*words, "--workers", str(workers))
    with crewed(f"spread {workers} {scheme} {loop}", command) as server:
        for _ in range(rounds):
            for source, addresses in SOURCES.items():
                shares = asyncio.run(hold(server.port, scheme, connections, addresses))
                shares += [0] * (workers - len(shares))
                yield Count(loop, scheme, workers, source, shares)


async def hold(port: int, scheme: str, connections: int, addresses: int) -> list[int]:
    """Open so many connections from so many addresses; how many each process serves."""
    permits, all_open = asyncio.Semaphore(AT_ONCE), asyncio.Barrier(connections)
    context = None
    if scheme == "tls":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    async def one(number: int) -> bytes:
        async with permits:
            reader, writer = await asyncio.open_connection(
                *("127.0.0.1", port),
                ssl=context,
                local_addr=(f"127.0.0.{number % addresses + 1}", 0),
            )
            said = await reader.readline()
        await all_open.wait()
        writer.close()
        await writer.wait_closed()
        return said

    return list(Counter(await asyncio.gather(*map(one, range(connections)))).values())


def table(counts: list[Count]) -> str:
    """One row for each number of workers and kind of source: loops and schemes together."""
    rows = []
    for workers, source in sorted({(count.workers, count.source) for count in counts}):
        some = [each for each in counts if (each.workers, each.source) == (workers, source)]
        by_luck, apart_by_luck = chances(sum(some[0].shares), workers)
        offs, aparts = [each.off for each in some], [each.apart for each in some]
        rows.append(
            [
                str(workers),
                source,
                str(len(some)),
                f"{median(offs):.1%}",
                f"{max(offs):.1%}",
                f"{by_luck:.1e}",
                f"{median(aparts):.1%}",
                f"{max(aparts):.1%}",
                str(sum(each > AIM for each in aparts)),
                f"{apart_by_luck:.1e}",
            ]
        )
    return markdown(HEADER, rows)


@cache
def chances(connections: int, workers: int) -> tuple[float, float]:
    """The chances that throwing dice leaves a worker over 20 % off, and two over 20 % apart."""
    equal = connections / workers
    slack = int(AIM * equal)
    near = within(connections, workers, int(equal - slack), int(equal + slack))
    # Fullest and emptiest at most `slack` apart, by the emptiest: all within
    # [least, least + slack] less those that have more than `least` everywhere.
    close = sum(
        within(connections, workers, least, least + slack)
        - within(connections, workers, least + 1, least + slack)
        for least in range(max(0, int(equal) - slack), int(equal) + 1)
    )
    return 1 - near, 1 - close


def within(connections: int, workers: int, least: int, most: int) -> float:
    """The chance that every worker gets `least` to `most` of the connections.

    Shares thrown by dice are Poisson variables under the condition that they add up.
    """
    share = {each: poisson(each, connections / workers) for each in range(least, most + 1)}
    sums = {0: 1.0}
    for _ in range(workers):
        longer: dict[int, float] = defaultdict(float)
        for so_far, chance in sums.items():
            for each, its in share.items():
                longer[so_far + each] += chance * its
        sums = longer
    return sums.get(connections, 0.0) / poisson(connections, connections)


def poisson(count: int, mean: float) -> float:
    """The chance of `count` where `mean` are to be expected."""
    return exp(count * log(mean) - mean - lgamma(count + 1))


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    return run("spread", "Shares of workers.", measured, rounds=10, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
