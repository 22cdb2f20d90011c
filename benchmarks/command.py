"""What the smaller benchmarks have in common: their flags, and where their results go."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.process import LOGS, BenchmarkError, raise_descriptor_limit
from benchmarks.table import machine, progress

LOOPS = ("uvloop", "asyncio")


@dataclass(frozen=True)
class Asked:
    """How much to measure."""

    quick: bool
    rounds: int
    loops: tuple[str, ...]
    only: tuple[str, ...]

    def wants(self, text: str) -> bool:
        """Whether ``--only`` lets this row through: all of its words are in `text`."""
        return all(word in text for word in self.only)


@dataclass(frozen=True)
class Found:
    """What goes to stdout, and every figure behind it."""

    text: str
    record: object


def run(
    name: str,
    description: str,
    measured: Callable[[Asked], Found],
    *,
    rounds: int,
    arguments: Sequence[str] | None = None,
) -> int:
    """Measure as the command line asks; exit status 1 if a program failed."""
    parser = argparse.ArgumentParser(description=description)
    add = parser.add_argument
    add("--quick", action="store_true", help="does it run? seconds; the figures say nothing")
    add("--rounds", type=int, default=rounds, help=f"turns (default {rounds})")
    add("--loop", action="append", choices=LOOPS, help="this loop only")
    add("--only", action="append", default=[], help="rows holding this text")
    add("--results", type=Path, default=LOGS.parent, help="folder for the table and the figures")
    got = parser.parse_args(arguments)
    loops = tuple(got.loop or (LOOPS[:1] if got.quick else LOOPS))
    raise_descriptor_limit()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that servers are ended too
    where = machine()  # before a benchmark keeps itself to one core
    try:
        found = measured(Asked(got.quick, 1 if got.quick else got.rounds, loops, tuple(got.only)))
    except BenchmarkError as error:
        progress(f"benchmark: {error}")
        return 1
    text = f"{where}\n\n{found.text}"
    print(text)
    got.results.mkdir(parents=True, exist_ok=True)
    (got.results / f"{name}.md").write_text(text + "\n")
    (got.results / f"{name}.json").write_text(json.dumps(found.record, indent=1) + "\n")
    return 0
