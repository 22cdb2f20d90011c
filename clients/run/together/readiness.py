"""When an entry is ready, so that the next may start.

A line that it writes and its end are events. That somebody listens on an address is none:
the kernel tells nobody but the one who listens. So we ask, by connecting, at a pace.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from netkit.addresses import Address
from netkit.clients.run.together.settings import Done, Listening, Ready, Said
from netkit.subprocesses.events import End

PACE = 0.1
"""Seconds between two attempts: a person hardly waits, and a server's log stays readable."""
ATTEMPT = 2.0
"""Seconds for one: who is ready answers sooner; who drops packets never does."""


def wanted(ready: Ready) -> str:
    """What was waited for, as words behind "before"."""
    if isinstance(ready, Listening):
        return f"anybody listened on {ready.address}"
    if isinstance(ready, Said):
        return f"a line matched {ready.pattern.pattern.decode()!r}"
    return "it ended"


def says(ready: Ready | None, block: bytes) -> bool:
    """Whether a line of `block` is the one that is waited for."""
    if not isinstance(ready, Said):
        return False
    return any(ready.pattern.search(line) for line in block.splitlines())


async def met(
    ready: Ready, said: asyncio.Event, task: asyncio.Task[End], folder: Path | None
) -> bool:
    """Wait until it is ready; False if it ended before, and will not be any more.

    `said` tells of the line, `task` is its life.
    """
    if ready is Done.DONE:
        await asyncio.wait([task])
        return task.result().code == 0
    if isinstance(ready, Listening):
        waiting = asyncio.create_task(_listening(ready.address, folder))
    else:
        waiting = asyncio.create_task(_set(said))
    try:
        await asyncio.wait([waiting, task], return_when=asyncio.FIRST_COMPLETED)
        # Who ends with 0 may have left a service behind, as docker run -d does.
        if isinstance(ready, Listening) and task.done() and not task.result().code:
            await waiting
        return waiting.done()
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def _set(event: asyncio.Event) -> None:
    await event.wait()


async def _listening(address: Address, folder: Path | None) -> None:
    # Until a connection succeeds. A relative path of a socket begins where commands run.
    while True:
        with suppress(OSError):  # a TimeoutError is one
            async with asyncio.timeout(ATTEMPT):
                return await _connect(address, folder)
        await asyncio.sleep(PACE)  # nothing tells when somebody listens


async def _connect(address: Address, folder: Path | None) -> None:
    loop = asyncio.get_running_loop()
    if address.scheme == "unix":
        path = address.socket_path
        if folder and not path.startswith("\0"):
            path = str(folder / path)
        transport, _ = await loop.create_unix_connection(asyncio.Protocol, path)
    else:
        transport, _ = await loop.create_connection(asyncio.Protocol, address.host, address.port)
    transport.close()
