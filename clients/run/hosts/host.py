"""One host: its connections, its files, the jobs that run there."""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias

import asyncssh

from netkit.clients.run.hosts.address import Address
from netkit.clients.run.hosts.channel import Channel
from netkit.clients.run.hosts.child import RemoteChild
from netkit.clients.run.hosts.connections import Connections
from netkit.clients.run.hosts.hold import Hold
from netkit.clients.run.hosts.login import HostError, connect
from netkit.clients.run.hosts.order import LOGIN, Setting, environment, kill, order
from netkit.clients.run.hosts.outflow import outflow
from netkit.clients.run.hosts.settings import Machines, RemoteCommand
from netkit.stdio import Lane
from netkit.subprocesses.children import ChildLostError
from netkit.subprocesses.command import Command, NotStartedError, refused

Opened: TypeAlias = tuple[object, Callable[[], None]]

ANSWER = 60.0
"""Seconds for a login shell to come to our line."""

PATIENCE = 5.0
"""Seconds for a host to end a job that nobody wants any more; then its session is closed."""

WRONG = {
    "missing": "command not found on {host}; give its path",
    "no folder": "there is no folder {folder} on {host}, and it cannot be made",
}
"""What a host answers if a job cannot be started."""


class Host:
    """One of them. `lost` is told why it can be used no more, `changed` of each job's end."""

    def __init__(
        self,
        address: Address,
        machines: Machines,
        lane: Lane,
        lost: Callable[[Host, str], None],
        changed: Callable[[], None],
    ) -> None:
        self.name = str(address)
        self.limit = address.limit or machines.jobs
        self.jobs = 0
        """That run there, or are about to."""
        self.failure = ""
        """Why it was set aside; empty: it was not."""
        self._machines, self._lane, self._changed = machines, lane, changed
        login = partial(connect, address, machines.login)
        self._connections = Connections(login, partial(lost, self))
        self._hold = Hold(self._connections, machines)
        self._children: set[RemoteChild] = set()
        self._opening: set[asyncio.Task[Opened]] = set()

    @property
    def free(self) -> int:
        """Jobs for which there is room now."""
        return 0 if self.failure else self.limit - self.jobs

    async def start(self, command: Command, stdio: tuple[int, int, int]) -> RemoteChild:
        """Start it, its files first.

        Raises `HostError`: it has not started, and no other will here. Raises `NotStartedError`.
        """
        self.jobs += 1
        try:
            child = await self._start(command, stdio)
        except BaseException:  # a cancellation too
            self._left()
            raise
        child.fate.add_done_callback(self._left)
        return child

    async def close(self) -> None:
        """End what runs, remove our files and close the connections. May be called twice."""
        fates = [child.fate for child in self._children]
        for child in self._children:
            child.signal(signal.SIGKILL)
        if fates:
            await asyncio.wait(fates, timeout=PATIENCE)
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._hold.clear()
        await self._connections.close()
        waits: set[asyncio.Future[Any]] = {*fates, *self._opening}
        if waits:
            await asyncio.wait(waits)

    def _left(self, _: object = None) -> None:
        self.jobs -= 1
        self._changed()

    async def _start(self, command: Command, stdio: tuple[int, int, int]) -> RemoteChild:
        token = secrets.token_hex(16)
        given = environment(dict(self._machines.environment))
        line = order(command, Setting(token, self._machines.folder, given, self._machines.grace))
        files = command if isinstance(command, RemoteCommand) else None
        await self._hold.load(files)
        try:
            channel = Channel(self.name, token)
            await self._open(channel)
            child = self._child(command, stdio, channel, files)
            channel.say(line)
            await self._greet(child, channel, command)
        except BaseException:  # a cancellation too
            await self._hold.unload(files)
            raise
        return child

    async def _open(self, channel: Channel) -> None:
        """Open its session. Cancelled, it closes it as soon as it is open: asyncssh would not."""

        def session(connection: asyncssh.SSHClientConnection) -> Awaitable[object]:
            return connection.create_session(
                lambda: channel, LOGIN, encoding=None, request_pty=False, x11_forwarding=False
            )

        opening = asyncio.create_task(self._connections.session(session))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)
        try:
            _, leave = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(lambda done: _abandon(done, channel))
            raise
        channel.when_closed(leave)

    def _child(
        self,
        command: Command,
        stdio: tuple[int, int, int],
        channel: Channel,
        files: RemoteCommand | None,
    ) -> RemoteChild:
        try:
            channel.stdout = outflow(command.stdout, stdio[1], self._lane, channel.resume)
            # With Stdio.STDOUT the host puts both into one, in the order of the writes.
            channel.stderr = outflow(command.stderr, stdio[2], self._lane, channel.resume)
        except OSError as error:
            channel.close()
            raise refused(command, error) from None
        child = RemoteChild(channel, partial(self._hold.finish, files), self._kill)
        self._children.add(child)
        child.fate.add_done_callback(lambda _: self._children.discard(child))
        return child

    async def _greet(self, child: RemoteChild, channel: Channel, command: Command) -> None:
        """Wait for the answer. Cancelled, it ends the job."""
        try:
            async with asyncio.timeout(ANSWER):
                answer = await asyncio.shield(channel.greeted)
        except ChildLostError:
            if channel.ended.done() and not channel.ended.exception():
                raise HostError(self._unheard(channel)) from None
            return  # it may have started: its fate says that it is lost
        except TimeoutError:
            await self._end(child, channel)
            raise HostError(self._unheard(channel)) from None
        except asyncio.CancelledError:
            await self._end(child, channel)
            raise
        if answer in WRONG:
            await asyncio.wait({child.fate})
            where = command.surroundings.cwd or self._machines.folder
            why = WRONG[answer].format(host=self.name, folder=where)
            raise NotStartedError(f"{command.words[0]}: {why}")
        child.pid = int(answer) if answer.isdecimal() else 0

    async def _end(self, child: RemoteChild, channel: Channel) -> None:
        child.signal(signal.SIGKILL)
        try:
            await asyncio.wait({child.fate}, timeout=PATIENCE)
        finally:
            channel.close()

    async def _kill(self, group: int) -> None:
        """Kill a group by a session of its own."""
        channel = Channel(self.name, "")
        with suppress(HostError, TimeoutError):
            await self._open(channel)
            channel.say(kill(group))
            async with asyncio.timeout(PATIENCE):
                await channel.closed.wait()
        channel.close()

    def _unheard(self, channel: Channel) -> str:
        said = f": it says {channel.noise!r}" if channel.noise else ""
        return f"its login shell does not run our line{said}"


def _abandon(opening: asyncio.Task[Opened], channel: Channel) -> None:
    if not opening.cancelled() and not opening.exception():
        channel.when_closed(opening.result()[1])
        channel.close()
