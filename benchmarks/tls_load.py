"""Run the TLS generator for one window, or have it hold connections."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from benchmarks.compare import FIRST_CONNECTIONS
from benchmarks.load import Length, Window, Workload, compiled, output
from benchmarks.process import BenchmarkError, Server, cores, pin

OPENSSL = ("-lssl", "-lcrypto")


@dataclass(frozen=True)
class Secured(Window):
    """What the generator saw of a TLS server; `negotiated` is the same for all connections."""

    resumed: int
    negotiated: str

    @property
    def core(self) -> float:
        """Which share of its core the server used."""
        return self.server_cpu / self.seconds


def command(server: Server, work: Workload, *, spin: bool) -> list[str]:
    """The generator's command line; with `spin` it polls without sleeping."""
    options = {
        "--mode": work.mode,
        "--port": server.port,
        "--connections": work.connections,
        "--size": work.size,
    }
    words = [str(word) for option in options.items() for word in option]
    each = [str(option) for pid in server.pids for option in ("--pid", pid)]
    return [str(compiled("tls_load.c", *OPENSSL)), *words, *each, *(["--spin"] if spin else [])]


def measure(server: Server, work: Workload, length: Length) -> Secured:
    """Load `server` once and say what came of it."""
    core = cores()[1]
    words = command(server, work, spin=core is not None)
    words += ["--warmup", str(length.warmup), "--seconds", str(length.seconds)]
    return Secured(**output(words, core, work))


@contextmanager
def holding(server: Server, work: Workload) -> Iterator[None]:
    """Hold connections until the block ends, and see that the server held them too."""
    core = cores()[1]
    child = subprocess.Popen(
        command(server, work, spin=core is not None),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(pin, core),
    )
    with child:
        assert child.stdout
        if child.stdout.readline():
            yield
        _, complaint = child.communicate()
    if child.returncode:
        raise BenchmarkError(f"{work} failed: {complaint.strip()}")


def memory_each(server: Server, work: Workload) -> float:
    """Bytes by which a fresh server grows for each connection that is held."""
    with holding(server, Workload(FIRST_CONNECTIONS, work.size, "idle")):
        before = server.memory()
        with holding(server, work):
            return (server.memory() - before) / work.connections
