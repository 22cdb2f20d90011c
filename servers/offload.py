"""Work that would block the loop, done elsewhere: a thread, and a pool of processes.

While a handler computes or waits without ``await``, nobody else is served. Two ways out,
one for each kind of work; each is a server::

    netkit serve scrypt
    echo secret | ncat 127.0.0.1 8101

    netkit serve factor --processes 2
    echo 600851475143 | ncat 127.0.0.1 8102

*A thread* (`asyncio.to_thread`) for what waits, as files, databases and DNS do, and for
what lets go of the interpreter's lock while it computes, as `hashlib` and `zlib` do.

*A pool of processes* for computing in Python itself, which holds the lock: the pool is
made in the service's lifespan and belongs to it. A process takes long to start, so it is
never made for one request.

Both bound what a client can make them do: the length of a line, the work on their way at
once, the size of a number.
"""

from __future__ import annotations

import asyncio
import hashlib
import signal
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from types import TracebackType
from typing import ClassVar, Final, Self

from netkit import Service

LARGEST: Final = 10**12
"""Factoring by trial takes up to a million divisions for it: some 50 ms."""


@dataclass
class Scrypt(Service):
    """Answer each line with its scrypt hash (RFC 7914), computed in a thread."""

    port: ClassVar[int] = 8101

    at_once: int = field(default=4, metadata={"help": "hashes computed at the same time"})

    async def __aenter__(self) -> Self:
        self._free = asyncio.Semaphore(self.at_once)  # 16 MiB of memory for each
        return self

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hash one line after the other; a fast client waits for its own, and for nobody's."""
        async for line in reader:
            async with self._free:
                digest = await asyncio.to_thread(scrypt, line.rstrip(b"\r\n"))
            writer.write(digest.hex().encode() + b"\n")
            await writer.drain()


@dataclass
class Factor(Service):
    """Answer each number with its prime factors, computed in a pool of processes."""

    port: ClassVar[int] = 8102

    processes: int = field(default=1, metadata={"help": "processes that compute"})

    async def __aenter__(self) -> Self:
        # Spawned, not forked: a fork would copy the loop and the locks of other threads.
        context = get_context("spawn")
        self._pool = ProcessPoolExecutor(self.processes, context, ignore_interrupt)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # In a thread, since it waits for the processes to end.
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Factor one number after the other."""
        loop = asyncio.get_running_loop()
        async for line in reader:
            writer.write(await loop.run_in_executor(self._pool, answer, line))
            await writer.drain()


def scrypt(secret: bytes) -> bytes:
    """A hash that costs about 50 ms and 16 MiB; `hashlib` lets other threads run meanwhile."""
    return hashlib.scrypt(secret, salt=b"netkit's lesson", n=2**14, r=8, p=1)


def answer(line: bytes) -> bytes:
    """``600851475143: 71 839 1471 6857``, or what is wrong with the line."""
    text = line.strip()
    if not (text.isdigit() and len(text) <= len(str(LARGEST)) and 2 <= int(text) <= LARGEST):
        return f"a number from 2 to {LARGEST}, please\n".encode()
    return f"{int(text)}: {' '.join(map(str, factors(int(text))))}\n".encode()


def factors(number: int) -> list[int]:
    """The prime factors of a number above 1, smallest first, by trial division."""
    found = []
    divisor = 2
    while divisor * divisor <= number:
        while number % divisor == 0:
            found.append(divisor)
            number //= divisor
        divisor += 1 if divisor == 2 else 2
    return [*found, number] if number > 1 else found


def ignore_interrupt() -> None:
    """Leave Ctrl-C, which a terminal sends to the whole group, to the server."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
