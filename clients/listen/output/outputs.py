"""All that becomes of the messages of one listener: who writes them, and until when."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from netkit.clients.listen.events import Address
from netkit.clients.listen.hearing import Ear
from netkit.clients.listen.message import Message
from netkit.clients.listen.output import pcap, record
from netkit.clients.listen.output.exec import Commands
from netkit.clients.listen.output.outlet import Outlet
from netkit.errors import NetkitError, UsageError
from netkit.stdio import Lane

Form = Callable[[Message], bytes]
"""How a message is written."""
Write = Callable[[bytes], Awaitable[None]]


class Outputs:
    """Has what it was given written, for the length of an ``async with`` block.

    The tasks that write are its own. Leaving the block gives up what is not written yet;
    `finish` waits for it.
    """

    def __init__(self) -> None:
        self._forms: list[tuple[Form, Outlet]] = []
        self._named: list[tuple[str, Outlet | Commands]] = []
        self._commands: Commands | None = None
        self._packets: Outlet | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._stack = ExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.give_up()
        self._stack.close()

    @property
    def wanted(self) -> bool:
        """Whether anything becomes of messages at all."""
        return bool(self._forms or self._commands)

    @property
    def unwritten(self) -> dict[str, int]:
        """Messages for which there was no room, by what was not done to them."""
        return {name: output.dropped for name, output in self._named}

    @property
    def failed(self) -> int:
        """Commands that ended with another status than 0."""
        return self._commands.failed if self._commands else 0

    def printed(self, form: Form, write: Write) -> None:
        """Write each message to standard output."""
        self._forms.append((form, self._outlet("printed", write)))

    def recorded(self, path: Path) -> None:
        """Write each message to a file, to be replayed."""
        write = self._file(path, "--record")
        self._forms.append((record.line, self._outlet("recorded", write)))

    def captured(self, path: Path) -> None:
        """Write each datagram that comes to a file, as a capture."""
        self._packets = self._outlet("captured", self._file(path, "--pcap"))
        self._packets.put(pcap.FILE_HEADER, messages=0)

    def executed(self, commands: Commands) -> None:
        """Run a command for each message."""
        self._commands = commands
        self._named.append(("executed", commands))
        self._own(commands.run())

    def deliver(self, messages: list[Message]) -> None:
        """Have these written, where there is room for them."""
        for form, outlet in self._forms:
            outlet.put(b"".join(map(form, messages)), len(messages))
        if self._commands:
            for message in messages:
                self._commands.put(message)

    def capture(self, ear: Ear, destination: Address) -> Ear:
        """An ear before `ear` if there is to be a capture."""
        return pcap.Capture(ear, destination, self._packets.put) if self._packets else ear

    async def broken(self) -> None:
        """Wait until one of them fails, and raise why: `OutputClosedError`, `NetkitError`."""
        if not self._tasks:
            await asyncio.Event().wait()
        await _first_to_fail(self._tasks)

    async def finish(self) -> None:
        """Wait until all is written and every command has ended; raises as `broken` does."""
        for _, output in self._named:
            output.close()
        if self._tasks:
            await _first_to_fail(self._tasks)

    async def give_up(self) -> None:
        """Write nothing more, and end commands that run. May be called twice."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _outlet(self, name: str, write: Write) -> Outlet:
        outlet = Outlet(write)
        self._named.append((name, outlet))
        self._own(outlet.run())
        return outlet

    def _own(self, work: Coroutine[None, None, None]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    def _file(self, path: Path, flag: str) -> Write:
        file = self._stack.enter_context(_opened(path, flag))
        lane = Lane(flag)
        # Wait for a write under way, or the file would be closed under it.
        self._stack.callback(lane.close, 5.0)

        async def write(data: bytes) -> None:
            try:
                await lane.call(file.write, data)
            except OSError as error:
                raise NetkitError(f"{flag} {path}: {error.strerror}") from None

        return write


async def _first_to_fail(tasks: list[asyncio.Task[None]]) -> None:
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    for task in done:
        task.result()


def _opened(path: Path, flag: str) -> BinaryIO:
    try:
        # It holds what was sent to us, which may not be for everybody on this machine.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"{flag} {path}: {error.strerror}; name a file to write") from error
    return os.fdopen(descriptor, "wb", buffering=0)
