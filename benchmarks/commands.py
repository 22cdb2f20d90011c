"""Commands: started, and read: ``python -m benchmarks.commands``.

What `netkit.Runner` and ``netkit run`` make of it on both loops, beside xargs, GNU parallel,
concurrently, plain asyncio and uvloop, and C. Contenders take turns: each round does each once, and
its ratio to C is that round's.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from statistics import median

from benchmarks.command import Asked, Found, run
from benchmarks.compare import Spread
from benchmarks.load import compiled
from benchmarks.process import ROOT, BenchmarkError
from benchmarks.table import markdown, progress, ratio
from benchmarks.verdict import standing

LIMITS = (2, 8, 32)
STARTS, STARTS_QUICK = 2000, 40
BYTES, BYTES_QUICK = 1 << 30, 1 << 22
CHILDREN, LINES, LINES_QUICK = 100, 100_000, 100
LINE = "seq -f 'line %.0f of some text to read' {lines}"
BEST = "C"
WHOLE = re.compile(rb"^(?:\[\d+\] |\d+\t)line \d+ of some text to read$", re.MULTILINE)
HEADER = ["work", "program", "a second", "÷ C", "broken lines", "longest lag ms"]
NOTES = """Starts: /bin/true, so many at a time; seconds with the start of the program itself for
xargs, GNU parallel and netkit run. Stream: 1 GiB of one child, in MB. Lines: of 100 children at
once, each with a prefix; those that did not come out whole are broken. Medians of the rounds; in
brackets quartiles of the ratios. Lag: of the loop, the longest of a round, the median of rounds."""


@dataclass(frozen=True)
class Work:
    """What is to be done, and how much of it in all."""

    name: str
    amount: float
    aims: tuple[tuple[str, float], ...]
    """Peers, and of which share or multiple of them netkit shall be at least."""


@dataclass(frozen=True)
class Contender:
    """A program that does a work."""

    work: Work
    name: str
    words: tuple[str, ...]
    stdin: str = ""
    tells: bool = True
    """Whether it says on standard error how many seconds it took."""
    aimed: bool = False
    """Whether the aims are its."""


@dataclass(frozen=True)
class Turn:
    """One go; the loop's longest lag is in milliseconds."""

    work: str
    name: str
    rate: float
    lag: float | None
    broken: int | None
    """Lines that are not in its output as they were written; None where no lines are asked for."""


def contenders(asked: Asked) -> Iterator[Contender]:
    """Everybody, work by work."""
    yield from starting(asked)
    yield from streaming(asked)
    yield from lining(asked)


def starting(asked: Asked) -> Iterator[Contender]:
    """Starts at each limit."""
    count = STARTS_QUICK if asked.quick else STARTS
    numbers = "\n".join(map(str, range(count))) + "\n"
    for limit in LIMITS:
        aims = ((BEST, 0.7), ("xargs", 1.3), ("GNU parallel", 7.0)) if limit > LIMITS[0] else ()
        work = Work(f"start, {limit} at a time", count, aims)
        yield Contender(work, BEST, (c(), "start", str(limit), str(count)))
        for loop in asked.loops:
            for name, way in (("Runner", "netkit"), ("Runner, captured", "captured")):
                words = peer("start", way, limit, count, loop=loop)
                yield Contender(work, f"{name}, {loop}", words, aimed=way == "netkit")
            words = netkit("-j", limit, "--loop", loop, "/bin/true")
            yield Contender(work, f"netkit run, {loop}", words, numbers, tells=False)
            yield Contender(work, f"plain, {loop}", peer("start", "plain", limit, count, loop=loop))
        if path := shutil.which("xargs"):
            words = (path, "-P", str(limit), "-n1", "/bin/true")
            yield Contender(work, "xargs", words, numbers, tells=False)
        if path := parallel():
            words = (path, "-j", str(limit), "/bin/true")
            yield Contender(work, "GNU parallel", words, numbers, tells=False)


def streaming(asked: Asked) -> Iterator[Contender]:
    """One child that writes without end."""
    size = BYTES_QUICK if asked.quick else BYTES
    work = Work("stream", size / 1e6, ((BEST, 0.65),))
    yield Contender(work, BEST, (c(), "stream", str(size)))
    for loop in asked.loops:
        words = peer("stream", "netkit", size, loop=loop)
        yield Contender(work, f"Runner, {loop}", words, aimed=True)
        yield Contender(work, f"plain, {loop}", peer("stream", "plain", size, loop=loop))


def lining(asked: Asked) -> Iterator[Contender]:
    """Many children, each line with a prefix."""
    lines = LINES_QUICK if asked.quick else LINES
    work = Work("lines", CHILDREN * lines, ((BEST, 0.45),))
    numbers = "\n".join(map(str, range(CHILDREN))) + "\n"
    script = LINE.format(lines=lines) + " #"
    yield Contender(work, BEST, (c(), "lines", str(CHILDREN), str(lines)))
    for loop in asked.loops:
        words = netkit("-j", CHILDREN, "--loop", loop, "--line-buffer", "--tag", "--shell", script)
        yield Contender(work, f"netkit run, {loop}", words, numbers, tells=False, aimed=True)
    if path := parallel():
        words = (path, "-j", str(CHILDREN), "--line-buffer", "--tag", script)
        yield Contender(work, "GNU parallel", words, numbers, tells=False)
    if path := shutil.which("concurrently"):  # npm install concurrently
        words = (path, "--no-color", *[LINE.format(lines=lines)] * CHILDREN)
        yield Contender(work, "concurrently", words, tells=False)


def c() -> str:
    """The path of the C program."""
    return str(compiled("peers/commands.c"))


def peer(*words: object, loop: str) -> tuple[str, ...]:
    """A command line of ours in Python."""
    module = (sys.executable, "-m", "benchmarks.peers.commands")
    return (*module, *map(str, words), "--loop", loop)


def netkit(*words: object) -> tuple[str, ...]:
    """``netkit run``."""
    return (str(Path(sys.executable).with_name("netkit")), "run", *map(str, words))


def parallel() -> str | None:
    """GNU parallel, and not the other program of that name."""
    path = shutil.which("parallel")
    if path is None:
        return None
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return path if said.stdout.startswith("GNU") else None


def done(it: Contender) -> Turn:
    """Have it do its work once; what it wrote is looked at behind the clock."""
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stdout:
        stdin.write(it.stdin.encode())
        stdin.seek(0)
        began = time.perf_counter()
        process = subprocess.run(
            it.words, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, cwd=ROOT, check=False
        )
        took = time.perf_counter() - began
        said = process.stderr.decode()
        if process.returncode:
            status = process.returncode
            raise BenchmarkError(f"{it.name}: {it.work.name}: exit status {status}: {said}")
        broken = None
        if it.work.name == "lines":
            with mmap(stdout.fileno(), 0, access=ACCESS_READ) as written:
                broken = int(it.work.amount) - sum(1 for _ in WHOLE.finditer(written))
            if it.aimed and broken:
                raise BenchmarkError(f"{it.name}: {broken:,} lines are broken")
    lag = None
    if it.tells:
        took, *rest = map(float, said.split())
        lag = rest[0] if rest else None
    return Turn(it.work.name, it.name, it.work.amount / took, lag, broken)


def measured(asked: Asked) -> Found:
    """Each round does all, forwards and backwards by turns."""
    wanted = [it for it in contenders(asked) if asked.wants(f"{it.work.name}, {it.name}")]
    if not wanted:
        raise BenchmarkError("--only leaves nothing")
    turns: list[Turn] = []
    for number in range(asked.rounds):
        progress(f"round {number + 1} of {asked.rounds}")
        turns += [done(it) for it in wanted[:: -1 if number % 2 else 1]]
    return Found(
        f"{table(wanted, turns)}\n\n{NOTES}\n{verdict(wanted, turns)}",
        [asdict(each) for each in turns],
    )


def ratios(turns: list[Turn], work: str, name: str, other: str) -> Spread | None:
    """The rate of one over that of another in the same round."""
    mine, its = (
        [turn.rate for turn in turns if (turn.work, turn.name) == (work, who)]
        for who in (name, other)
    )
    return Spread.of([a / b for a, b in zip(mine, its, strict=True)]) if mine and its else None


def table(wanted: list[Contender], turns: list[Turn]) -> str:
    """A row for each contender: medians of its turns."""
    rows = []
    for it in wanted:
        mine = [turn for turn in turns if (turn.work, turn.name) == (it.work.name, it.name)]
        lags = [turn.lag for turn in mine if turn.lag is not None]
        broken = [turn.broken for turn in mine if turn.broken is not None]
        compared = None if it.name == BEST else ratios(turns, it.work.name, it.name, BEST)
        rows.append(
            [
                it.work.name,
                it.name,
                f"{median(turn.rate for turn in mine):,.0f}",
                ratio(compared) if compared else "",
                f"{median(broken):,.0f}" if broken else "",
                f"{median(lags):.1f}" if lags else "",
            ]
        )
    return markdown(HEADER, rows)


def verdict(wanted: list[Contender], turns: list[Turn]) -> str:
    """The aims, judged."""
    lines = []
    for it in wanted:
        for other, least in it.work.aims if it.aimed else ():
            if compared := ratios(turns, it.work.name, it.name, other):
                stands = standing(compared, at_least=least)
                text = f"{it.work.name}: {it.name} at least {least:g} of {other}"
                lines.append(f"- {text}: {stands}, {ratio(compared)}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    return run("commands", "Commands: started, and read.", measured, rounds=5, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
