"""Children started as asyncio does it: the plain way.

What is left out is what goes wrong with it. No PIPE: asyncio's `wait` blocks while a
grandchild holds one, `communicate` does so on both loops, and uvloop makes sockets of them;
a job has pipes of its own. No `process_group`, `umask` or `user`: uvloop refuses them. A
session of its own is what both know, and it has a process group. What differs still:
uvloop hands on descriptors that were made inheritable, and libuv has /bin/sh run a file that
the kernel does not know how to (execvp(3) of old).
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

from netkit.subprocesses.children import Fate
from netkit.subprocesses.command import Command, NotStartedError, program, refused
from netkit.subprocesses.shielding import to_its_end


class PlainChild:
    """A child of ours. What the kernel says of it stays unknown: asyncio reaps it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.pid = process.pid
        self._process = process
        self._swept = False
        self.fate: asyncio.Future[Fate] = asyncio.create_task(self._end())

    async def _end(self) -> Fate:
        status = await self._process.wait()
        return Fate(status, None, self._signal(signal.SIGKILL if self._swept else 0))

    def signal(self, number: int) -> None:
        """Send a signal to the whole group; nothing happens once the child was reaped."""
        if self._process.returncode is None:
            self._signal(number)

    def sweep(self) -> None:
        """When the child ends, kill what is left of its group."""
        self._swept = True

    def _signal(self, number: int) -> bool:
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True


class Plain:
    """The plain way, for jobs that need no terminal, umask, user or limits of their own."""

    def __init__(self) -> None:
        self._children: set[PlainChild] = set()

    async def spawn(self, command: Command, stdio: tuple[int, int, int]) -> PlainChild:
        """Start `command`; see `Spawner.spawn`."""
        around = command.surroundings
        if command.terminal or around.umask is not None or not around.ordinary:
            raise NotStartedError(f"{command.words[0]}: the plain way knows only cwd and env")
        path = program(command)
        starting = asyncio.create_task(
            asyncio.create_subprocess_exec(
                *command.words, executable=path, cwd=around.cwd,
                env=None if around.env is None else dict(around.env),
                stdin=stdio[0], stdout=stdio[1], stderr=stdio[2], start_new_session=True,
            )
        )  # fmt: skip
        try:
            process = await asyncio.shield(starting)
        except asyncio.CancelledError:
            # Cancelled inside, it would leave a process behind or not, as the moment has it.
            with suppress(OSError):
                child = PlainChild(await to_its_end(starting))
                child.sweep()
                child.signal(signal.SIGKILL)
                await to_its_end(child.fate)
            raise
        except OSError as error:
            raise refused(command, error) from None
        child = PlainChild(process)
        self._children.add(child)
        child.fate.add_done_callback(lambda _: self._children.discard(child))
        return child

    async def close(self) -> None:
        """Kill what still runs and wait for it. May be called twice."""
        for child in list(self._children):
            child.sweep()
            child.signal(signal.SIGKILL)
        if self._children:
            await asyncio.wait([child.fate for child in self._children])
