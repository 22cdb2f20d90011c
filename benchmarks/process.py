"""Start a server on a core of its own, learn its port, read its memory, stop it."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / "benchmarks" / "results" / "logs"
URL = re.compile(r"tcp://127\.0\.0\.1:(\d+)\s")
START_SECONDS = 30


class BenchmarkError(Exception):
    """A program of the benchmark failed; the message says which one and what it said."""


@dataclass(frozen=True)
class Server:
    """A running server: its process id and the port it listens on."""

    pid: int
    port: int

    def memory(self) -> int:
        """Bytes of memory that are its alone plus its share of what is shared (PSS)."""
        rollup = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return int(rollup.split("\nPss:")[1].split()[0]) * 1024


def cores() -> tuple[int | None, int | None]:
    """The server's core and the generator's; (None, None) where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[1]) if len(usable) > 1 else (None, None)


def pin(core: int | None) -> None:
    """Keep the calling process, and what it starts, on `core`."""
    if core is not None:
        os.sched_setaffinity(0, {core})


def raise_descriptor_limit() -> None:
    """Let this process and its children open as many descriptors as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def running(name: str, command: Sequence[str | Path]) -> Iterator[Server]:
    """Run a server until the block ends. Its output goes to a file: logging is paid for."""
    LOGS.mkdir(parents=True, exist_ok=True)
    # With this process's id: two benchmarks at once must not read each other's ports.
    log = LOGS / f"{re.sub(r'[^a-z0-9]+', '-', name.lower())}-{os.getpid()}.log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=partial(pin, cores()[0]),
        )
        try:
            yield Server(child.pid, wait_for_port(child, log))
        finally:
            child.kill()
            child.wait()


def wait_for_port(child: subprocess.Popen[bytes], log: Path) -> int:
    """The port that the server prints, or a `BenchmarkError` with what it said instead."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        over = child.poll() is not None  # asked first: what it said last is read below
        said = log.read_text(errors="replace")
        if found := URL.search(said):
            return int(found[1])
        if over:
            break
        time.sleep(0.02)  # a file has no event for what is written to it
    what = f"ended with status {child.returncode}" if over else "printed no tcp:// address"
    raise BenchmarkError(f"{child.args!r} {what}; it said:\n{log.read_text(errors='replace')}")
