"""Services started bare on a loop, and the programs that talk to them."""

from __future__ import annotations

import asyncio
import inspect
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress

from netkit.service import Service
from tests.forked import signalled


@asynccontextmanager
async def listening(service: Service) -> AsyncIterator[int]:
    """Serve the service's streams on a free port, which is yielded; close all at the end."""
    loop = asyncio.get_running_loop()
    target = service.stream()
    assert target is not None
    if inspect.iscoroutinefunction(target):

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError), closing(writer):
                await target(reader, writer)

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
    else:
        server = await loop.create_server(target, "127.0.0.1", 0)  # type: ignore[arg-type]  # a factory, as tested above
    async with service, server:
        port: int = server.sockets[0].getsockname()[1]
        yield port


@asynccontextmanager
async def bound(service: Service, port: int = 0) -> AsyncIterator[int]:
    """Serve the service's datagrams on a free port, which is yielded; close it at the end."""
    factory = service.datagram()
    assert factory is not None
    loop = asyncio.get_running_loop()
    async with service:
        transport, _ = await loop.create_datagram_endpoint(factory, ("127.0.0.1", port))
        try:
            own: int = transport.get_extra_info("sockname")[1]
            yield own
        finally:
            transport.close()
            await asyncio.sleep(0)  # the loop closes the socket in its next turn


async def output(*command: str | int, given: bytes = b"") -> bytes:
    """What a program writes when it is given `given` and then the end of input."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    written, _ = await process.communicate(given)
    assert process.returncode == 0, f"{command} ended with {process.returncode}"
    return written


async def answer(*command: str | int, given: bytes, size: int) -> bytes:
    """The first `size` bytes a program writes when given `given` while its input stays open."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(given)
        return await process.stdout.readexactly(size)
    finally:
        signalled(process, signal.SIGKILL)
        await process.communicate()  # reads on, which lets the loop close the pipes


class Inbox(asyncio.DatagramProtocol):
    """Keeps what a UDP client receives."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.received.put_nowait(data)


@asynccontextmanager
async def asking(port: int) -> AsyncIterator[tuple[asyncio.DatagramTransport, Inbox]]:
    """A UDP client of the server on `port`."""
    loop = asyncio.get_running_loop()
    transport, inbox = await loop.create_datagram_endpoint(
        Inbox, local_addr=("127.0.0.1", 0), remote_addr=("127.0.0.1", port)
    )
    try:
        yield transport, inbox
    finally:
        transport.close()
        await asyncio.sleep(0)  # as above
