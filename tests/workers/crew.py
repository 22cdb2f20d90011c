"""A supervisor as a process, and the workers under it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from tests.runtime.process import ServerProcess
from tests.runtime.talkers import Talker

ON_TCP = ("--bind", "tcp://127.0.0.1:0")

WHO = """
import asyncio, os, re, sys, threading, time
from pathlib import Path


def hog():
    re.match("(a+)+$", "a" * 64 + "b")  # C code that keeps the interpreter lock, for years


async def handle(reader, writer):
    "Say who serves, then echo lines; `block` and `hog` hold up the loop."
    writer.write(b"%d\\n" % os.getpid())
    while line := await reader.readline():
        if line == b"block\\n":
            time.sleep(1000)  # the fault that is tested
        if line == b"hog\\n":
            hog()
        if line == b"hog elsewhere\\n":
            threading.Timer(0.3, hog).start()  # by then the loop waits
        writer.write(line)
        await writer.drain()


if Path(__file__).with_name("broken").exists():
    raise ImportError("broken on purpose")
"""
"""A server that says its process id, and that can be broken for the next start."""

STARTS = """
import asyncio, sys
from dataclasses import dataclass
import netkit

@dataclass
class Starts(netkit.Service):
    async def __aenter__(self):
        print("starting", file=sys.stderr, flush=True)
        await asyncio.Event().wait()  # a database that does not answer
    async def handle(self, reader, writer):
        pass
"""
"""A service that is never ready."""


def workers(server: ServerProcess) -> set[int]:
    """Process ids of the workers that live."""
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child) for child in children}


async def replaced(server: ServerProcess, old: set[int], count: int) -> set[int]:
    """Wait until there are `count` workers, none of which is in `old`."""
    while (now := workers(server)) & old or len(now) != count:
        await asyncio.sleep(0.01)  # processes come and go without an event for us
    return now


async def serves(port: int) -> tuple[Talker, int]:
    """Connect, and learn which process serves."""
    talker = await Talker.connect(port)
    said = b""
    try:
        while not said.endswith(b"\n"):
            data = await talker.read()
            assert data, "the server ended the connection"
            said += data
    except BaseException:  # a failed assertion too
        talker.sock.close()
        raise
    return talker, int(said)


async def one_of_each(port: int, count: int) -> dict[int, Talker]:
    """Connections to so many different workers, by process id."""
    found: dict[int, Talker] = {}
    while len(found) < count:
        talker, pid = await serves(port)
        if pid in found:
            talker.sock.close()
        else:
            found[pid] = talker
    return found


async def echoes(talker: Talker, words: bytes = b"hello\n") -> bool:
    """Whether a line comes back."""
    await talker.write(words)
    said = b""
    while not said.endswith(b"\n"):
        data = await talker.read()
        if not data:
            return False
        said += data
    return said == words


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(pid: int, number: int) -> None:
    """Send a signal."""
    os.kill(pid, number)
