"""What attackers who hold connections do to other clients: ``python -m benchmarks.attackers``.

By turns undisturbed and with 1,000 attackers: how long well-behaved clients wait for an
answer (p99), and how long newcomers wait for their first. And after how long attackers
are cut off, by which limit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.command import Asked, Found, run
from benchmarks.compare import Spread
from benchmarks.contenders import listening, netkit
from benchmarks.crew import cpu
from benchmarks.process import ROOT, BenchmarkError, Server, cores, pin, running
from benchmarks.table import markdown, number, progress, ratio
from benchmarks.verdict import standing
from benchmarks.visitors import Waits, p99_ms, visit

AIM = 2.0
HANDSHAKE = 5.0
"""Seconds for --limit-handshake: half the default, so that twice as many come and go."""

HEADER = [
    "attack",
    "loop",
    "p99 ms",
    "attacked",
    "attacked ÷ not",
    "newcomers' p99 ms",
    "attacked",
    "server's core",
    "attacked",
    "cut off",
    "after s, median",
    "longest",
]


@dataclass(frozen=True)
class Scene:
    """One kind of attack on one server; `ramp` is in how many seconds all attackers come."""

    name: str
    kind: str
    words: tuple[str | Path, ...]
    scheme: str
    ramp: float = 2.0


ECHO = ("echo", "--api", "protocol")
SCENES = [
    # All come in the time after which they are cut off: then the attack goes on evenly.
    Scene("half-open handshakes", "half-open", ECHO, "tls", HANDSHAKE),
    Scene("a byte a second of a handshake", "hello", ECHO, "tls", HANDSHAKE),
    Scene("a byte a second over TLS", "tls-bytes", ECHO, "tls"),
    Scene("a byte a second", "bytes", ECHO, "tcp"),
    Scene("a byte a second of a line", "bytes", ("benchmarks/peers/lines.py:handle",), "tcp", 5.0),
]


@dataclass(frozen=True)
class Row:
    """One scene on one loop; what was found at the same place belongs to the same turn."""

    attack: str
    loop: str
    calm: list[Waits] = field(default_factory=list)
    attacked: list[Waits] = field(default_factory=list)
    calm_cores: list[float] = field(default_factory=list)
    attacked_cores: list[float] = field(default_factory=list)
    lived: list[float] = field(default_factory=list)

    @property
    def slower(self) -> Spread:
        """The p99 under attack over the undisturbed one of the same turn."""
        turns = zip(self.calm, self.attacked, strict=True)
        return Spread.of([p99_ms(b.messages) / p99_ms(a.messages) for a, b in turns])

    def cells(self) -> list[str]:
        """The row as text; a newcomer's p99 is of all turns together, since they are few."""
        both = (self.calm, self.attacked)
        cut = [f"{median(self.lived):.1f}", f"{max(self.lived):.1f}"] if self.lived else ["", ""]
        return [
            self.attack,
            self.loop,
            *[number(median(p99_ms(waits.messages) for waits in turns)) for turns in both],
            ratio(self.slower),
            *[number(p99_ms([wait for each in turns for wait in each.visits])) for turns in both],
            *[number(median(each)) for each in (self.calm_cores, self.attacked_cores)],
            f"{len(self.lived):,}",
            *cut,
        ]

    def verdict(self) -> str:
        """Whether well-behaved clients' p99 stays under twice the undisturbed one."""
        found = standing(self.slower, at_most=AIM)
        return f"- {self.attack}, {self.loop}: p99 at most {AIM:g} times the undisturbed: {found}"


def measured(asked: Asked) -> Found:
    """Every attack on both loops."""
    pin(cores()[1])  # and with it the clients; the server has the other core
    rows = []
    for loop in asked.loops:
        for scene in SCENES:
            if asked.wants(f"{scene.name}, {loop}"):
                rows.append(attacked(scene, loop, asked))
    if not rows:
        raise BenchmarkError("--only leaves no attack")
    table = markdown(HEADER, [row.cells() for row in rows])
    verdicts = "\n".join(row.verdict() for row in rows)
    return Found(f"{table}\n\n{verdicts}", [asdict(row) for row in rows])


def attacked(scene: Scene, loop: str, asked: Asked) -> Row:
    """One scene: undisturbed and attacked, turn by turn."""
    row = Row(scene.name, loop)
    seconds, count, ramp = (0.3, 50, 0.2) if asked.quick else (2.0, 1000, scene.ramp)
    limit = 0.4 if asked.quick else HANDSHAKE
    words = [*scene.words, *listening(scene.scheme, loop), "--limit-handshake", str(limit)]
    with running(f"attacked {scene.name} {loop}", netkit(*words)) as server:
        tls = scene.scheme == "tls"
        visit(server.port, tls=tls, seconds=0.2)
        for turn in range(asked.rounds):
            progress(f"{scene.name}, {loop}: {turn + 1}")
            observe(server, tls, seconds, row.calm, row.calm_cores)
            with attacking(server, scene.kind, count, ramp, row.lived):
                observe(server, tls, seconds, row.attacked, row.attacked_cores)
            time.sleep(seconds / 4)  # the end of so many connections at once is in no window
    return row


def observe(
    server: Server, tls: bool, seconds: float, waits: list[Waits], used: list[float]
) -> None:
    """One window of visits, and what share of a core the server took for it."""
    before, began = cpu(server.pids), time.monotonic()
    waits.append(visit(server.port, tls=tls, seconds=seconds))
    used.append((cpu(server.pids) - before) / (time.monotonic() - began))


def in_the_background() -> None:
    """Let the calling process run where the clients do, and only while they do not.

    They share a core: a client that waits for it behind attackers would say nothing of the server.
    """
    pin(cores()[1])
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


@contextmanager
def attacking(
    server: Server, kind: str, count: int, ramp: float, lived: list[float]
) -> Iterator[None]:
    """Attack for the length of the block, once all attackers are there."""
    words = [sys.executable, "-m", "benchmarks.peers.attack", "--port", server.port]
    words += ["--kind", kind, "--count", count, "--ramp", ramp]
    child = subprocess.Popen(
        [str(word) for word in words],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=in_the_background,
    )
    with child:
        assert child.stdout
        if not child.stdout.readline():
            raise BenchmarkError(f"the attackers ({kind}) did not get in")
        yield
        said = child.communicate()[0]
    if child.returncode:
        raise BenchmarkError(f"the attackers ({kind}) failed")
    lived.extend(json.loads(said)["lived"])


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    what = "Well-behaved clients beside attackers."
    return run("attackers", what, measured, rounds=4, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
