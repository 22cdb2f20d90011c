"""The echo benchmark's plan: what `echo.py` measures, in which order, and what it prints."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.compare import by_turns, memory_each
from benchmarks.contenders import Pair, pairs, yardsticks
from benchmarks.load import Length, Workload, measure
from benchmarks.process import LOGS, BenchmarkError, raise_descriptor_limit, running
from benchmarks.rows import MemoryRow, Row, record, table
from benchmarks.table import machine, progress, size
from benchmarks.verdict import CONNECT, verdict

CONNECTIONS = [1, 100, 1000]
SIZES = [64, 1024, 65536]
OPENING = Workload(16, 64, mode="connect")
YARDSTICK_ROUNDS = 3
MEMORY_ROUNDS = 3


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    works: dict[str, Workload]
    idle: int
    rounds: int
    length: Length
    only: tuple[str, ...] = ()
    control: bool = False

    def wants(self, *words: str) -> bool:
        """Whether ``--only`` lets this row through: every word of it must be found."""
        text = " ".join(words)
        return all(any(part in text for part in word.split("|")) for word in self.only)


def workloads(connections: list[int], sizes: list[int], depth: int) -> dict[str, Workload]:
    """What is measured, by the name that it has in the table."""
    steady = {
        f"{size(length)} over {count:,}": Workload(count, length, depth=depth)
        for count in connections
        for length in sizes
    }
    return {**steady, CONNECT: OPENING}


def parsed(arguments: list[str] | None = None) -> tuple[Plan, Path]:
    """The plan and the folder for results that the command line asks for."""
    parser = argparse.ArgumentParser(description="Echo servers side by side, in one table.")
    add = parser.add_argument
    add("--quick", action="store_true", help="one short round of the small workloads")
    add("--rounds", type=int, default=9, help="turns for each pair (default 9)")
    add("--seconds", type=float, default=0.5, help="length of a window (default 0.5)")
    add("--messages", type=int, default=0, help="end a window after so many messages instead")
    add("--depth", type=int, default=1, help="messages outstanding on each connection")
    add("--only", action="append", default=[], help="rows holding this text; | means or")
    add("--control", action="store_true", help="the plain server in netkit's place: the noise")
    add("--results", type=Path, default=LOGS.parent, help="folder for the table and the windows")
    got = parser.parse_args(arguments)
    full = Plan(
        workloads(CONNECTIONS, SIZES, got.depth),
        idle=2000,
        rounds=got.rounds,
        length=Length(got.seconds, warmup=0.1, messages=got.messages),
        only=tuple(got.only),
        control=got.control,
    )
    return (quick(full, got.depth) if got.quick else full), got.results


def quick(plan: Plan, depth: int) -> Plan:
    """Enough to see that all of it runs; its figures say nothing."""
    length = Length(seconds=0.1, warmup=0.02, messages=plan.length.messages)
    works = workloads([1, 100], [64, 1024], depth)
    return replace(plan, works=works, idle=100, rounds=1, length=length)


def yardstick_rows(plan: Plan) -> Iterator[Row | MemoryRow]:
    """The servers that are not Python, fewer rounds each: they only set the scale."""
    rounds = min(plan.rounds, YARDSTICK_ROUNDS)
    for name, command in yardsticks().items():
        progress(name)
        with running(name, command) as server:
            for work, load in plan.works.items():
                if plan.wants(work, name):
                    yield Row(
                        work, name, [measure(server, load, plan.length) for _ in [0] * rounds]
                    )
        if plan.wants("idle connection", name):
            yield MemoryRow("idle connection", name, [fresh_memory(plan, name, command)])


def pair_rows(plan: Plan, pair: Pair) -> Iterator[Row | MemoryRow]:
    """One pair through every workload, both servers alive all the while."""
    other = pair.plain if plan.control else pair.netkit
    works = {work: load for work, load in plan.works.items() if plan.wants(work, pair.name)}
    if works:
        with (
            running(f"plain {pair.name}", pair.plain) as plain,
            running(f"netkit {pair.name}", other) as netkit,
        ):
            for work, load in works.items():
                progress(f"{pair.name}: {work}")
                compared = by_turns(plain, netkit, load, plan.rounds, plan.length)
                yield Row(work, pair.name, compared.plain, compared.netkit)
    if plan.wants("idle connection", pair.name):
        progress(f"{pair.name}: idle connection")
        rounds = range(min(plan.rounds, MEMORY_ROUNDS))
        yield MemoryRow(
            "idle connection",
            pair.name,
            [fresh_memory(plan, f"plain {pair.name}", pair.plain) for _ in rounds],
            [fresh_memory(plan, f"netkit {pair.name}", other) for _ in rounds],
        )


def fresh_memory(plan: Plan, name: str, command: list[str | Path]) -> float:
    """Bytes for each idle connection, of a server that has served nobody before."""
    with running(f"{name} idle", command) as server:
        return memory_each(server, plan.idle)


def report(plan: Plan, rows: list[Row | MemoryRow]) -> str:
    """What stands on stdout: where it was measured, the table, the promises."""
    beside = "the plain server again (control)" if plan.control else "netkit"
    how = (
        f"{plan.rounds} turns of {plan.length.seconds} s for each pair; `netkit` is {beside}; "
        f"{plan.idle:,} idle connections."
    )
    return "\n\n".join([machine(), how, table(rows), verdict(rows)])


def main() -> int:
    """Run the plan; exit status 1 if a server or the generator failed."""
    plan, folder = parsed()
    raise_descriptor_limit()
    rows: list[Row | MemoryRow] = []
    try:
        rows.extend(yardstick_rows(plan))
        for pair in pairs():
            rows.extend(pair_rows(plan, pair))
    except BenchmarkError as error:
        progress(f"benchmark: {error}")
        return 1
    text = report(plan, rows)
    print(text)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "echo.md").write_text(text + "\n")
    (folder / "echo.json").write_text(json.dumps(record(rows), indent=1) + "\n")
    return 0
