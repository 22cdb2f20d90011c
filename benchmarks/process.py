"""Start a server on a core of its own, learn its port, read its memory, stop it."""

from __future__ import annotations

import os
import re
import resource
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / "benchmarks" / "results" / "logs"
URL = re.compile(r"(?<!admin on )(?:tcp|tls)://127\.0\.0\.1:(\d+)\s")
START_SECONDS = 30


class BenchmarkError(Exception):
    """A program of the benchmark failed; the message says which one and what it said."""


@dataclass(frozen=True)
class Server:
    """A running server: its process id, the port it listens on, and what it writes."""

    pid: int
    port: int
    log: Path

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that serve."""
        return (self.pid,)

    def memory(self) -> int:
        """Bytes of memory that are its alone plus its share of what is shared (PSS)."""
        return sum(memory(pid) for pid in self.pids)


def memory(pid: int) -> int:
    """Bytes of memory that are a process's alone plus its share of what is shared (PSS)."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
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
def running(name: str, command: Sequence[str | Path], port: int | None = None) -> Iterator[Server]:
    """Run a server until the block ends. Its output goes to a file: logging is paid for.

    `port` is that of a server that does not say its own.
    """
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
            over = partial(ended, child)
            if port is None:
                port = int(said(log, URL, over))
            else:
                listens(log, port, over)
            yield Server(child.pid, port, log)
        finally:
            child.kill()
            child.wait()


def ended(child: subprocess.Popen[bytes]) -> bool:
    """Whether a process is over."""
    return child.poll() is not None


def listens(log: Path, port: int, over: Callable[[], bool]) -> None:
    """Wait until somebody accepts connections at a port. Raises `BenchmarkError`."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and not over():
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)  # a port has no event for who begins to listen
    raise BenchmarkError(
        f"{log.name}: nobody listens at {port}; it said:\n{log.read_text(errors='replace')}"
    )


def said(log: Path, what: re.Pattern[str], over: Callable[[], bool] = lambda: False) -> str:
    """What a server says of itself in its log, once it does; `over`: whether it has ended.

    Raises `BenchmarkError`, with what it said instead.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        is_over = over()  # asked first: what it said last is read below
        if found := what.search(log.read_text(errors="replace")):
            return found[1]
        if is_over:
            break
        time.sleep(0.02)  # a file has no event for what is written to it
    raise BenchmarkError(
        f"{log.name}: no {what.pattern!r}; it said:\n{log.read_text(errors='replace')}"
    )
