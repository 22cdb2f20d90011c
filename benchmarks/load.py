"""Compile the C programs and run the load generator for one window."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.process import ROOT, BenchmarkError, Server, cores, pin

BUILD = ROOT / "benchmarks" / "build"


@dataclass(frozen=True)
class Workload:
    """What the generator does to a server in one window."""

    connections: int
    size: int
    mode: str = "echo"
    depth: int = 1


@dataclass(frozen=True)
class Window:
    """What the generator saw; times in seconds, `_us` in microseconds."""

    messages: int
    seconds: float
    server_cpu: float
    p50_us: float
    p99_us: float
    sent: int
    echoed: int
    connections: int

    @property
    def rate(self) -> float:
        """Messages a second; in mode `connect`, connections a second."""
        return self.messages / self.seconds

    @property
    def cpu_us(self) -> float:
        """Microseconds of the server's CPU for each message or connection."""
        return self.server_cpu * 1e6 / self.messages


@dataclass(frozen=True)
class Length:
    """How long a window lasts: seconds, or messages if that is not 0."""

    seconds: float
    warmup: float
    messages: int = 0


def compiled(source: str, *libraries: str) -> Path:
    """Path of the program made of `source` (a name under benchmarks/), compiled if needed.

    `libraries` are linked: "-lssl".
    """
    path, program = ROOT / "benchmarks" / source, BUILD / Path(source).stem
    if not program.exists() or program.stat().st_mtime < path.stat().st_mtime:
        BUILD.mkdir(parents=True, exist_ok=True)
        compiler = ["cc", "-O2", "-Wall", "-Wextra", "-o", str(program), str(path), *libraries]
        try:
            subprocess.run(compiler, check=True, capture_output=True, text=True)
        except FileNotFoundError:
            raise BenchmarkError("cc is not installed: the load generator is in C") from None
        except subprocess.CalledProcessError as error:
            raise BenchmarkError(f"{source} does not compile:\n{error.stderr}") from error
    return program


def command(server: Server, work: Workload, *, spin: bool) -> list[str]:
    """The generator's command line; with `spin` it polls without sleeping."""
    options = {
        "--mode": work.mode,
        "--port": server.port,
        "--connections": work.connections,
        "--size": work.size,
        "--depth": work.depth,
    }
    each = [option for pid in server.pids for option in ("--pid", pid)]
    words = [str(word) for option in options.items() for word in option]
    return [str(compiled("load.c")), *words, *map(str, each), *(["--spin"] if spin else [])]


def measure(
    server: Server, work: Workload, length: Length, *, alone: bool = True, spin: bool = True
) -> Window:
    """Load `server` once and say what came of it.

    `alone`: the generator has a core of its own, where with `spin` it never sleeps;
    otherwise it runs where there is room.
    """
    core = cores()[1] if alone else None
    duration = ["--warmup", str(length.warmup), "--seconds", str(length.seconds)]
    words = command(server, work, spin=spin and core is not None)
    window = Window(**output([*words, *duration, "--messages", str(length.messages)], core, work))
    if not window.messages:
        raise BenchmarkError(f"{work}: nothing came back in a whole window; is the machine busy?")
    return window


def output(words: list[str], core: int | None, work: Workload) -> dict[str, Any]:
    """Run a generator on `core` to its end; return what it reports."""
    done = subprocess.run(words, capture_output=True, text=True, preexec_fn=partial(pin, core))
    if done.returncode:
        raise BenchmarkError(f"{work} failed: {done.stderr.strip()}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def holding(server: Server, connections: int) -> Iterator[None]:
    """Hold idle connections, each after one echo of 64 bytes, until the block ends."""
    work = Workload(connections, 64, mode="idle")
    child = subprocess.Popen(
        command(server, work, spin=cores()[1] is not None),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with child:
        assert child.stdout
        assert child.stderr
        ready = json.loads(child.stdout.readline() or b"{}")
        if ready.get("echoed") != connections:
            raise BenchmarkError(f"{work} failed: {child.stderr.read().decode().strip()}")
        yield
