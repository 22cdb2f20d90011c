"""One window of datagrams on loopback, counted by the kernel and not by who sends or receives.

A sender sends to a C program on the other core that takes all without ever sleeping. A receiver
is given a flood by the same C program that is the fastest sender; what it has received is what
was sent less what its socket dropped. A socket that takes runs (UDP_GRO) counts a run that is
dropped as one: it is multiplied by its length.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from select import select
from typing import Any

from benchmarks.crew import cpu
from benchmarks.load import compiled
from benchmarks.process import LOGS, ROOT, START_SECONDS, BenchmarkError, cores, pin

from netkit.feeds.offload import LONGEST, SEGMENTS
from netkit.feeds.reader import UDP_GRO
from netkit.feeds.sockets import dropped

HOST = "127.0.0.1"
_WRAP = 1 << 32  # the kernel's counts have 32 bits
_PIDFD_GETFD = 438  # the system call, in all architectures
HALF = 50
"""Per cent of a receiver's buffer that a careful flood fills."""
FLOOD = 100

Command = Sequence[str | Path]


@dataclass(frozen=True)
class Window:
    """Datagrams that went through, those that were lost, in so many seconds; `cpu` in seconds."""

    datagrams: int
    lost: int
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        """Datagrams a second."""
        return self.datagrams / self.seconds


def sent(name: str, command: Command, sink: socket.socket, size: int, seconds: float) -> Window:
    """What a sender sends to `sink`, some time after it has begun."""
    words = map(str, ["sink", size, seconds, sink.fileno()])
    reading = subprocess.Popen(
        [compiled("peers/datagrams.c"), *words],
        pass_fds=[sink.fileno()],
        stdout=subprocess.PIPE,
        preexec_fn=partial(pin, cores()[1]),
    )
    with reading:
        try:
            with started(name, command) as process:
                says: Any = reading.stdout
                wait(lambda: bool(select([says], [], [], 0)[0]), process, name)
                says.readline()  # the warm-up is over
                used = cpu([process.pid])
                told = json.loads(says.readline())
                used = cpu([process.pid]) - used
        finally:
            reading.kill()
    return Window(int(told["arrived"]), 0, told["seconds"], used)


def received(
    name: str, command: Command, port: int, size: int, seconds: float, full: int
) -> Window:
    """What a receiver at `port` receives; `full`: see datagrams.c."""
    with started(name, command) as process:
        wait(lambda: bool(inode(port)), process, name)
        with duplicate(process.pid, inode(port)) as sock:
            flood(sock, port, size, seconds / 4, full)  # the warm-up
            lost, used = dropped(sock), cpu([process.pid])
            told = flood(sock, port, size, seconds, full)
            lost = (dropped(sock) - lost) % _WRAP
            if sock.getsockopt(socket.SOL_UDP, UDP_GRO):
                lost *= min(SEGMENTS, LONGEST // size)
            used = cpu([process.pid]) - used
            return Window(int(told["sent"]) - lost, lost, told["seconds"], used)


def iperf(size: int) -> tuple[Window, Window]:
    """What iperf3 says that it sent in a second, as fast as it could, and received."""
    port = ["-p", str(free_tcp_port())]
    server = subprocess.Popen(
        ["iperf3", "-s", "-1", "--forceflush", *port],
        stdout=subprocess.PIPE,
        preexec_fn=partial(pin, cores()[1]),
    )
    with server:
        try:
            assert server.stdout
            while b"listening" not in (line := server.stdout.readline()) and line:
                pass
            done = subprocess.run(
                ["iperf3", "-c", HOST, "-u", "-b", "0", "-l", str(size), "-t", "1", "-J", *port],
                capture_output=True,
                preexec_fn=partial(pin, cores()[0]),
            )
        finally:
            server.kill()
    end = json.loads(done.stdout).get("end") or {}
    if "sum" not in end:
        raise BenchmarkError(f"iperf3 failed: {done.stdout.decode()}")
    total, busy = end["sum"], end["cpu_utilization_percent"]
    count, lost, seconds = total["packets"], total["lost_packets"], total["seconds"]
    return (
        Window(count, 0, seconds, busy["host_total"] / 100 * seconds),
        Window(count - lost, lost, seconds, busy["remote_total"] / 100 * seconds),
    )


def free_tcp_port() -> int:
    """A port that nobody has."""
    with socket.create_server((HOST, 0)) as sock:
        return int(sock.getsockname()[1])


@contextmanager
def sink() -> Iterator[tuple[socket.socket, int]]:
    """A socket that takes runs, and its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.setsockopt(socket.SOL_UDP, UDP_GRO, 1)
        sock.bind((HOST, 0))
        yield sock, int(sock.getsockname()[1])


def flood(sock: socket.socket, port: int, size: int, seconds: float, full: int) -> dict[str, float]:
    """Datagrams for a receiver, until all are gone from its socket."""
    words = ["flood", port, size, seconds, sock.fileno(), full]
    done = subprocess.run(
        [compiled("peers/datagrams.c"), *map(str, words)],
        pass_fds=[sock.fileno()],
        capture_output=True,
        text=True,
        preexec_fn=partial(pin, cores()[1]),
    )
    if done.returncode:
        raise BenchmarkError(f"the flood failed: {done.stderr.strip()}")
    told: dict[str, float] = json.loads(done.stdout)
    return told


@contextmanager
def started(name: str, command: Command) -> Iterator[subprocess.Popen[bytes]]:
    """Run a contender on its core until the block ends; what it says goes to its log."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"datagrams-{re.sub(r'[^a-z0-9]+', '-', name.lower())}-{os.getpid()}.log"
    with log.open("wb") as output:
        core = partial(pin, cores()[0])
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            preexec_fn=core,
        )  # fmt: skip
        try:
            yield process
            if process.poll() is not None:
                raise BenchmarkError(f"{name} ended: {log.read_text(errors='replace')}")
        finally:
            process.kill()
            process.wait()


def wait(ready: Callable[[], bool], process: subprocess.Popen[bytes], name: str) -> None:
    """Until something is so that has no event."""
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchmarkError(f"{name} does not start: see {LOGS}")
        time.sleep(0.01)  # nothing tells when the peer has its socket


def inode(port: int) -> str:
    """Of the UDP socket that is bound to a port; empty if there is none."""
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].partition(":")[2], 16) == port:
            return fields[9]
    return ""


@contextmanager
def duplicate(pid: int, number: str) -> Iterator[socket.socket]:
    """Another process's socket as one of ours (pidfd_getfd(2), since Linux 5.6)."""
    theirs = next(
        int(each.name)
        for each in Path(f"/proc/{pid}/fd").iterdir()
        if str(each.readlink()) == f"socket:[{number}]"
    )
    process = os.pidfd_open(pid)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        ours = libc.syscall(_PIDFD_GETFD, process, theirs, 0)
    finally:
        os.close(process)
    if ours < 0:
        raise BenchmarkError(f"pidfd_getfd: {os.strerror(ctypes.get_errno())}; run it as root")
    with socket.socket(fileno=ours) as sock:
        yield sock
