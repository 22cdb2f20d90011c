"""A runner in this process, and a client of it that sends what it likes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import netkit
from netkit.jobs.frames import Frame, Frames, Kind
from netkit.jobs.messages import Attach, Exit, Hello, Kill, Start, Started, decode, encode
from netkit.servers.runner import Runner

LIMIT = 30.0
"""Seconds until a test gives up waiting for an answer."""

HERE = 'callers = ["loopback"]\n'


def listed(folder: Path, text: str) -> Path:
    """An allow-list in a file."""
    path = folder / "list.toml"
    draft = path.with_suffix(".new")
    draft.write_text(text)
    draft.replace(path)
    return path


def shell(name: str, script: str, more: str = "") -> str:
    """A command whose operator has chosen to run a fixed script."""
    words = json.dumps(["-c", script])
    return f'[commands.{name}]\nprogram = "/bin/sh"\narguments = {words}\n{HERE}{more}\n'


class Talker:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._frames = Frames()
        self._arrived: list[Frame] = []
        self.lost = 0
        """Bytes that `end` was told were not kept for us."""

    async def send(self, kind: Kind, payload: bytes = b"", job: int = 1) -> None:
        self.writer.write(Frame(kind, job, payload).pack())
        await self.writer.drain()

    async def say(self, text: str) -> None:
        self.writer.write(text.encode())
        await self.writer.drain()

    async def hello(self, window: int = 262_144) -> None:
        await self.send(Kind.HELLO, encode(Hello((1,), window)), 0)
        assert (await self.frame()).kind is Kind.HELLO

    async def start(self, name: str, *arguments: str, job: int = 1, **how: Any) -> None:
        await self.send(Kind.START, encode(Start(name, arguments, **how)), job)

    async def started(self, name: str, *arguments: str, job: int = 1, **how: Any) -> Started:
        await self.start(name, *arguments, job=job, **how)
        return decode(Started, (await self.until(Kind.STARTED, job)).payload)

    async def attach(self, number: str, job: int = 1) -> None:
        await self.send(Kind.ATTACH, encode(Attach(number)), job)

    async def kill(self, number: str, job: int = 1) -> Exit:
        await self.send(Kind.KILL, encode(Kill(number)), job)
        return decode(Exit, (await self.until(Kind.EXIT, job)).payload)

    async def frame(self) -> Frame:
        async with asyncio.timeout(LIMIT):
            while not self._arrived:
                data = await self.reader.read(65_536)
                if not data:
                    raise EOFError
                self._arrived.extend(self._frames.feed(data))
        return self._arrived.pop(0)

    async def until(self, kind: Kind, job: int = 1) -> Frame:
        """The next frame of this kind for a job; an ERROR that was not asked for fails."""
        while True:
            frame = await self.frame()
            if frame.kind is kind and frame.job == job:
                return frame
            assert frame.kind is not Kind.ERROR, frame

    async def error(self, job: int = 1) -> str:
        """Code and message of the ERROR that comes next for a job."""
        frame = await self.until(Kind.ERROR, job)
        told = json.loads(frame.payload)
        return f"{told['code']}: {told['message']}"

    async def end(self, job: int = 1) -> tuple[bytes, bytes, Exit]:
        """All output of a job, and its end; credit is given as it is taken."""
        out = {Kind.STDOUT: b"", Kind.STDERR: b""}
        while True:
            frame = await self.frame()
            assert frame.kind is not Kind.ERROR, frame
            if frame.job != job:
                continue
            if frame.kind in out:
                out[frame.kind] += frame.payload
                await self.send(Kind.CREDIT, len(frame.payload).to_bytes(4, "big"), job)
            elif frame.kind is Kind.LOST:
                self.lost += int.from_bytes(frame.payload, "big")
            elif frame.kind is Kind.EXIT:
                end = decode(Exit, frame.payload)
                return out[Kind.STDOUT], out[Kind.STDERR], end

    async def rest(self) -> bytes:
        """Everything until the server closes, as it came."""
        async with asyncio.timeout(LIMIT):
            return await self.reader.read()

    async def closed(self) -> bool:
        """Wait for the server to close; whatever comes before."""
        with suppress(ConnectionError):
            await self.rest()
        return True

    async def leave(self) -> None:
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()


@asynccontextmanager
async def talker(server: netkit.Server, *, greeted: bool = True) -> AsyncIterator[Talker]:
    """A connection to the server's first address."""
    url = server.addresses[0]
    if url.startswith("unix:"):
        streams = await asyncio.open_unix_connection(url.removeprefix("unix:"))
    else:
        host, _, port = url.partition("://")[2].rpartition(":")
        streams = await asyncio.open_connection(host.strip("[]"), int(port))
    one = Talker(*streams)
    try:
        if greeted:
            await one.hello()
        yield one
    finally:
        await one.leave()


@asynccontextmanager
async def running(
    path: Path | None, *, bind: str = "127.0.0.1:0", **settings: Any
) -> AsyncIterator[netkit.Server]:
    """A runner with this list."""
    service = Runner(allow=path, **settings)
    async with netkit.serve(service, bind=bind, grace=5.0) as server:
        yield server


@asynccontextmanager
async def beside(folder: Path, service: Runner) -> AsyncIterator[Talker]:
    """Somebody else at the same jobs: the peer of a Unix socket has another name."""
    path = folder / "beside"
    loop = asyncio.get_running_loop()
    async with await loop.create_unix_server(service.stream(), path):
        one = Talker(*await asyncio.open_unix_connection(path))
        try:
            await one.hello()
            yield one
        finally:
            await one.leave()


def audited(path: Path) -> list[dict[str, Any]]:
    """The lines of an audit log."""
    return [json.loads(line) for line in path.read_text().splitlines()]
