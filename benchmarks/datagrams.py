"""Datagrams a second: ``python -m benchmarks.datagrams``.

What `netkit serve broadcast` sends with and `netkit listen` hears with, beside plain asyncio and
uvloop, socat, iperf3 and C, of 64, 512 and 1,200 bytes. Contenders take turns: each round measures
each once, and its ratio to C with offload is that round's. See floods.py for what counts.
"""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from math import nan
from statistics import median

from benchmarks.command import Asked, Found, run
from benchmarks.compare import Spread
from benchmarks.floods import FLOOD, HALF, HOST, Command, Window, iperf, received, sent, sink
from benchmarks.load import compiled
from benchmarks.process import BenchmarkError
from benchmarks.table import markdown, number, progress, ratio
from benchmarks.verdict import standing

SIZES = (64, 512, 1200)
SECONDS = 0.4
BEST = "C, offload"
CALLS = (
    ("C, one by one", "sendto", "recv"),
    ("C, sendmmsg, recvmmsg", "sendmmsg", "recvmmsg"),
    (BEST, "gso", "gro"),
)
IPERF = "iperf3 -u"
AIMS = {"send": 0.4, "receive": 0.5}
"""Least shares of what C with offload does."""
NOTES = """Sends: to a C program that takes all. Receives: as fast as nothing is lost. In a flood:
what is left of all that C can send; of iperf3, of what its own client sends. Medians of the
rounds; in brackets quartiles of the ratios. CPU is the program's own, with the kernel's work in
its calls."""
WAYS = ("send", "receive", "flood")
HEADER = [
    "size", "program",
    "sends M/s", "Gbit/s", "÷ C offload", "CPU ns each",
    "receives M/s", "Gbit/s", "÷ C offload", "CPU ns each",
    "in a flood M/s", "lost",
]  # fmt: skip


@dataclass(frozen=True)
class Contender:
    """A program's words to send and to receive, where it does; `{}` stand for port and size."""

    name: str
    send: tuple[str, ...] = ()
    receive: tuple[str, ...] = ()

    def command(self, way: str, port: int, size: int) -> Command:
        """The command line."""
        words = self.send if way == "send" else self.receive
        return [word.format(port=port, size=size) for word in words]


@dataclass
class Row:
    """Windows of one contender at one size, by way; nothing where it cannot."""

    size: int
    name: str
    windows: dict[str, list[Window]] = field(default_factory=lambda: {way: [] for way in WAYS})

    def ratios(self, best: Row, way: str) -> Spread | None:
        """To the best of the same round."""
        turns = zip(self.windows[way], best.windows[way], strict=False)
        ratios = [mine.rate / its.rate for mine, its in turns if its.rate]
        return Spread.of(ratios) if ratios else None

    def cells(self, best: Row) -> list[str]:
        """The row as text."""
        cells = [f"{self.size:,} B", self.name]
        for way in ("send", "receive"):
            compared = self.ratios(best, way)
            rate = self.typical(way, "rate")
            cells += [
                mega(rate),
                mega(rate * self.size * 8 / 1e3),
                ratio(compared) if compared and self is not best else "",
                number(self.typical(way, "cpu") * 1e9) if self.typical(way, "cpu") > 0 else "",
            ]
        lost = self.typical("flood", "lost")
        return [*cells, mega(self.typical("flood", "rate")), "" if lost != lost else f"{lost:.1%}"]

    def typical(self, way: str, figure: str) -> float:
        """The median of a figure: datagrams a second, CPU seconds each, or the share lost."""
        of = {
            "rate": lambda w: w.rate,
            "cpu": lambda w: w.cpu / max(1, w.datagrams),
            "lost": lambda w: w.lost / max(1, w.datagrams + w.lost),
        }[figure]
        return median(map(of, self.windows[way])) if self.windows[way] else nan


def mega(value: float) -> str:
    """In millions; nothing where there is no figure."""
    return "" if value != value else f"{value / 1e6:.3g}"


def contenders(loops: tuple[str, ...]) -> list[Contender]:
    """Everybody who is installed."""
    found = []
    for loop in loops:
        ours, plain = partial(python, loop, "datagrams"), partial(python, loop, "plain_datagrams")
        found += [
            Contender(f"netkit, {loop}", ours("send", "netkit"), ours("receive", "netkit")),
            Contender(f"netkit, no repair, {loop}", ours("send", "forgetful")),
            Contender(f"netkit, no offload, {loop}", (), ours("receive", "drain")),
            Contender(f"plain, {loop}", plain("send"), plain("receive")),
        ]
    if path := shutil.which("socat"):
        from_zero = (path, "-u", "-b", "{size}", "OPEN:/dev/zero", f"UDP4-SENDTO:{HOST}:{{port}}")
        to_null = (path, "-u", f"UDP4-RECV:{{port}},bind={HOST},rcvbuf=4194304", "OPEN:/dev/null")
        found.append(Contender("socat", from_zero, to_null))
    if shutil.which("iperf3"):
        found.append(Contender(IPERF))
    program = str(compiled("peers/datagrams.c"))
    for name, out, into in CALLS:
        by = (program, "send", out, "{port}", "{size}"), (program, "receive", into, "{port}")
        found.append(Contender(name, *by))
    return found


def python(loop: str, module: str, *words: str) -> tuple[str, ...]:
    """The words of one of ours."""
    start = (sys.executable, "-m", f"benchmarks.peers.{module}")
    return (*start, *words, "{port}", "{size}", "--loop", loop)


def measured(asked: Asked) -> Found:
    """All sizes; each round begins with another contender."""
    seconds = SECONDS / 4 if asked.quick else SECONDS
    rows: list[Row] = []
    for size in SIZES:
        here = [each for each in contenders(asked.loops) if asked.wants(f"{size} B, {each.name}")]
        if not here:
            continue
        here += [each for each in contenders(()) if each.name == BEST and each not in here]
        found = {each.name: Row(size, each.name) for each in here}
        for turn in range(asked.rounds):
            progress(f"{size} B, round {turn + 1} of {asked.rounds}")
            for each in here[turn % len(here) :] + here[: turn % len(here)]:
                for way, window in windows(each, size, seconds):
                    found[each.name].windows[way].append(window)
        rows += found.values()
    if not rows:
        raise BenchmarkError("--only leaves nothing")
    record = [asdict(row) for row in rows]
    return Found(f"{table(rows)}\n\n{NOTES}\n{verdict(rows)}", {"rows": record})


def windows(contender: Contender, size: int, seconds: float) -> Iterator[tuple[str, Window]]:
    """One window of each way that the contender has."""
    name = contender.name
    if name == IPERF:
        both = iperf(size)
        yield from zip(("send", "flood"), both, strict=True)
        return
    if contender.send:
        with sink() as (sock, port):
            command = contender.command("send", port, size)
            yield "send", sent(f"{name} sends", command, sock, size, seconds)
    for way, full in (("receive", HALF), ("flood", FLOOD)):
        if contender.receive:
            port = free_port()
            command = contender.command(way, port, size)
            yield way, received(f"{name} receives", command, port, size, seconds, full)


def free_port() -> int:
    """A port that nobody has; the benchmark's programs soon do."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])


def table(rows: list[Row]) -> str:
    """All sizes and programs in one table."""
    best = {row.size: row for row in rows if row.name == BEST}
    return markdown(HEADER, [row.cells(best[row.size]) for row in rows])


def verdict(rows: list[Row]) -> str:
    """netkit's aims, judged at each size by medians and quartiles of the rounds."""
    lines = []
    for row in rows:
        best = next(each for each in rows if (each.size, each.name) == (row.size, BEST))
        for way, least in AIMS.items():
            compared = row.ratios(best, way) if row.name.startswith("netkit, ") else None
            if compared and "no offload" not in row.name:
                stands = standing(compared, at_least=least)
                text = f"{row.size:,} B, {row.name}: {way} at least {least} of {BEST}"
                lines.append(f"- {text}: {stands}, {ratio(compared)}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    return run("datagrams", "Datagrams a second.", measured, rounds=5, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
