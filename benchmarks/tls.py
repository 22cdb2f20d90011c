"""TLS servers side by side: ``python -m benchmarks.tls``.

netkit on both loops, plain asyncio and uvloop, Node, C with OpenSSL, openssl's s_server, and
terminators before one and the same echo. Contenders take turns: each round does each once, and
its ratio to C is that round's.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.command import Asked, Found, run
from benchmarks.load import Length, Workload
from benchmarks.process import BenchmarkError, Server
from benchmarks.table import progress
from benchmarks.tls_contenders import BEST, Contender, contenders
from benchmarks.tls_load import measure, memory_each
from benchmarks.tls_rows import MemoryRow, Row, Work, tables
from benchmarks.tls_verdict import verdict

from netkit.certificates.develop import development

SIZE = 64 * 1024
STREAMS = 4
SHAKING = 16
MEMORY_ROUNDS = 3
NOTES = """Medians of the rounds; in brackets quartiles of the ratios of each round. *CPU* is the
server's, for a message of 1 KiB, for 64 KiB, or from accept to close; a terminator's is with that
of the echo behind it, its memory without. *Of its core*: where the server has not used all of it,
the generator was the slower, or other programs had the core. Everybody negotiated {negotiated}."""


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    works: tuple[Work, ...]
    holds: tuple[Work, ...]
    rounds: int
    length: Length


def planned(asked: Asked) -> Plan:
    """All of it; with ``--quick`` enough to see that it runs."""
    held = 100 if asked.quick else 1000
    return Plan(
        works=(
            Work("1 KiB over 100", Workload(100, 1024), "messages/s"),
            Work("64 KiB up", Workload(STREAMS, SIZE, "upload"), "MB/s", SIZE / 1e6),
            Work("64 KiB down", Workload(STREAMS, SIZE, "download"), "MB/s", SIZE / 1e6),
            Work("full handshakes", Workload(SHAKING, 1024, "handshake"), "handshakes/s"),
            Work("resumed handshakes", Workload(SHAKING, 1024, "resume"), "handshakes/s"),
        ),
        holds=(
            Work("idle after 1 KiB", Workload(held, 1024, "idle"), "KiB"),
            Work("idle after 64 KiB", Workload(held, SIZE, "idle"), "KiB"),
            Work("half-open", Workload(held, 1024, "half"), "KiB"),
        ),
        rounds=asked.rounds,
        length=Length(0.1, warmup=0.05) if asked.quick else Length(0.7, warmup=0.15),
    )


def measured(asked: Asked) -> Found:
    """Every work with everybody, round by round."""
    plan = planned(asked)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        everybody, left_out = contenders(asked, development(folder / "certs"), folder)
        rows = [
            row
            for work in plan.works
            for row in by_turns(work, plan, chosen(asked, work, everybody))
        ]
        memory = [
            row
            for work in plan.holds
            for row in remembered(work, plan, chosen(asked, work, everybody))
        ]
    if not rows and not memory:
        raise BenchmarkError("--only leaves nothing")
    notes = NOTES.format(negotiated=agreed(rows)) if rows else ""
    missing = "\n".join(f"- left out: {each}" for each in left_out)
    parts = [how(plan), tables(rows, memory), notes, missing, verdict(rows, memory)]
    return Found("\n\n".join(part for part in parts if part), record(rows, memory))


def chosen(asked: Asked, work: Work, everybody: Sequence[Contender]) -> list[Contender]:
    """Who can do a work and is asked for; C with all of them, since they are measured by it."""
    able = [it for it in everybody if work.load.mode in it.modes]
    wanted = [it for it in able if asked.wants(f"{work.name}, {it.name}")]
    return [it for it in able if it in wanted or it.name == BEST] if wanted else []


def by_turns(work: Work, plan: Plan, who: Sequence[Contender]) -> Iterator[Row]:
    """All servers alive at once; each round does all, forwards and backwards by turns."""
    rows = [Row(work, contender) for contender in who]
    with ExitStack() as stack:
        servers: list[tuple[Row, Server]] = []
        for row in rows:
            progress(f"{work.name}: starting {row.contender.name}")
            server = stack.enter_context(row.contender.start(work.load.mode))
            servers.append((row, server))
        for number in range(plan.rounds if rows else 0):
            progress(f"{work.name}: round {number + 1} of {plan.rounds}")
            for row, server in servers[:: -1 if number % 2 else 1]:
                with naming(row.contender):
                    row.windows.append(measure(server, work.load, plan.length))
    yield from rows


def remembered(work: Work, plan: Plan, who: Sequence[Contender]) -> Iterator[MemoryRow]:
    """A fresh server for each figure: its heap has no holes to reuse."""
    rows = [MemoryRow(work, contender) for contender in who]
    for number in range(min(plan.rounds, MEMORY_ROUNDS) if rows else 0):
        progress(f"{work.name}: round {number + 1}")
        for row in rows:
            with naming(row.contender), row.contender.start(work.load.mode) as server:
                row.each.append(memory_each(server, work.load))
    yield from rows


@contextmanager
def naming(contender: Contender) -> Iterator[None]:
    """An error of the generator says who was measured."""
    try:
        yield
    except BenchmarkError as error:
        raise BenchmarkError(f"{contender.name}: {error}") from error


def agreed(rows: Sequence[Row]) -> str:
    """What everybody has negotiated. Raises `BenchmarkError` if that differs."""
    found = {each.negotiated: row.contender.name for row in rows for each in row.windows}
    if len(found) > 1:
        says = "; ".join(f"{name}: {negotiated}" for negotiated, name in found.items())
        raise BenchmarkError(f"not everybody negotiated the same: {says}")
    return "".join(found)


def how(plan: Plan) -> str:
    """How much was measured."""
    return (
        f"{plan.rounds} rounds of windows of {plan.length.seconds} s; bulk over {STREAMS} "
        f"connections, {SHAKING} handshakes at a time, {plan.holds[0].load.connections:,} "
        f"connections held."
    )


def record(rows: Sequence[Row], memory: Sequence[MemoryRow]) -> list[dict[str, object]]:
    """Every figure behind the tables."""
    found: list[dict[str, object]] = [
        {
            "work": row.work.name,
            "name": row.contender.name,
            "windows": [asdict(each) for each in row.windows],
        }
        for row in rows
    ]
    found += [
        {"work": row.work.name, "name": row.contender.name, "bytes": row.each} for row in memory
    ]
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print the tables."""
    return run("tls", "TLS servers side by side.", measured, rounds=7, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
