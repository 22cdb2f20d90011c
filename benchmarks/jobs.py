"""What is asked of one worker and of two: each job's server, and one window of load on it."""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import listening, netkit
from benchmarks.crew import cpu
from benchmarks.load import Length, Workload, measure
from benchmarks.process import BenchmarkError, Server, cores, pin

CLIENTS = 4
"""Clients that shake hands at the same time, each one after the other."""

COUNTED = re.compile(r"^(\d+) connections in \d+ real seconds", re.MULTILINE)


@dataclass(frozen=True)
class Turn:
    """One window: what was done, in how many seconds, with whose CPU (seconds)."""

    operations: int
    seconds: float
    server_cpu: float
    load_cpu: float

    @property
    def rate(self) -> float:
        """Operations a second."""
        return self.operations / self.seconds

    @property
    def cpu_us(self) -> float:
        """Microseconds of the servers' CPU for each operation."""
        return self.server_cpu * 1e6 / self.operations

    @property
    def cores(self) -> float:
        """How many cores the servers had the use of."""
        return self.server_cpu / self.seconds


@dataclass(frozen=True)
class Job:
    """A kind of load and the server that it is for; `aim` is promised of two workers."""

    name: str
    words: tuple[str | Path, ...]
    scheme: str
    load: Callable[[Server, bool, float], Turn]
    aim: float

    def command(self, loop: str, workers: int) -> list[str | Path]:
        """The server's command line."""
        return netkit(*self.words, *listening(self.scheme, loop), "--workers", str(workers))


def by_generator(work: Workload) -> Callable[[Server, bool, float], Turn]:
    """Load by the generator in C."""

    def load(server: Server, alone: bool, seconds: float) -> Turn:
        before = children_cpu()
        # It sleeps in all settings: polling beside one worker and not beside two is unfair.
        length = Length(seconds, warmup=0.1)
        window = measure(server, work, length, alone=alone, spin=False)
        spent = children_cpu() - before
        return Turn(window.messages, window.seconds, window.server_cpu, spent)

    return load


def by_openssl(server: Server, alone: bool, seconds: float) -> Turn:
    """Load by ``openssl s_time``: handshakes as fast as they go, no session resumed.

    It takes whole seconds and ends at the clock's full second, one or two from now.
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        raise BenchmarkError("openssl is not installed: it makes the TLS handshakes")
    # Nothing of the system's store is read: that takes longer than many handshakes.
    words = [openssl, "s_time", "-no-CAfile", "-no-CApath", "-no-CAstore", "-new"]
    words += ["-connect", f"127.0.0.1:{server.port}"]
    before, served, began = children_cpu(), cpu(server.pids), time.monotonic()
    clients = [
        subprocess.Popen(
            [*words, "-time", str(max(1, int(seconds)))],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=lambda: pin(cores()[1] if alone else None),
        )
        for _ in range(CLIENTS)
    ]
    said = [client.communicate()[0] for client in clients]
    took, served = time.monotonic() - began, cpu(server.pids) - served
    if any(client.returncode for client in clients):
        raise BenchmarkError(f"openssl s_time failed: {said[0]}")
    done = sum(int(found[1]) for each in said if (found := COUNTED.search(each)))
    return Turn(done, took, served, children_cpu() - before)


def children_cpu() -> float:
    """Seconds of CPU of the children that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


ECHO = ("echo", "--api", "protocol")
WORK = ("benchmarks/peers/work.py:Work",)
"""About three milliseconds for each message, so that the generator takes 3 % of them."""

JOBS = [
    Job("connect, 64 B, close", ECHO, "tcp", by_generator(Workload(16, 64, "connect")), 1.8),
    # The most that the generator opens: each worker still wakes up for many at once.
    Job("connect 64 at a time", ECHO, "tcp", by_generator(Workload(64, 64, "connect")), 1.8),
    # The kernel's hash gives a newcomer to either worker, whoever has less to do. With 64 at a time
    # one of them has none for two parts in 65 of the time, with 16 for two in 17.
    Job("connect, work, close", WORK, "tcp", by_generator(Workload(64, 64, "connect")), 1.8),
    Job("TLS handshake, close", ECHO, "tls", by_openssl, 1.8),
    Job("64 B over 100", ECHO, "tcp", by_generator(Workload(100, 64)), 1.6),
    Job("64 B over 100, work", WORK, "tcp", by_generator(Workload(100, 64)), 1.6),
]
