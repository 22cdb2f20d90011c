"""The chat service on a port of its own, and people who come to it."""

from __future__ import annotations

import asyncio
import signal
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from netkit.certificates.develop import development
from netkit.servers.chat import Chat
from tests.forked import signalled
from tests.peers import peer


@asynccontextmanager
async def listening(chat: Chat, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve `chat` on the loopback; gives the port, and ends what is left at the end."""
    factory = cast("Callable[[], asyncio.Protocol]", chat.stream())
    async with chat:
        server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0, ssl=tls)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            await chat.drain()
            while chat._connections:
                await asyncio.sleep(0)  # a turn of the loop
            await server.wait_closed()


def both_sides(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext, Path]:
    """Contexts for a server and its client, and the CA file for other clients."""
    made = development(folder)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.cert, made.key)
    return server, ssl.create_default_context(cafile=str(made.ca)), made.ca


class Person:
    """Somebody at the other end who reads line by line."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def type(self, *lines: str) -> None:
        self.writer.write("".join(f"{line}\n" for line in lines).encode())
        await self.writer.drain()

    async def sees(self, text: str) -> str:
        """Read on until a line holds `text`, and return that line."""
        while line := await self.reader.readline():
            if text in line.decode():
                return line.decode().rstrip("\r\n")
        raise AssertionError(f"the connection ended before {text!r}")

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


@asynccontextmanager
async def person(port: int, name: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Person]:
    """Somebody at a socket of this process, who is in the lobby."""
    host = "localhost" if tls else None
    someone = Person(
        *await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=host)
    )
    try:
        await someone.type(name)
        await someone.sees("* in #lobby")
        yield someone
    finally:
        await someone.close()


@asynccontextmanager
async def program(*command: str) -> AsyncIterator[Person]:
    """Somebody at the terminal of a real program."""
    process = await asyncio.create_subprocess_exec(
        peer(command[0]),
        *command[1:],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield Person(process.stdout, process.stdin)
    except BaseException:  # a failed assertion too
        signalled(process, signal.SIGKILL)
        raise
    finally:
        process.stdin.close()
        await process.stdout.read()
        await process.wait()
