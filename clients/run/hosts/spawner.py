"""Several hosts as one way to start children."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import NoReturn

import asyncssh

from netkit.clients.run.hosts.child import RemoteChild
from netkit.clients.run.hosts.host import Host
from netkit.clients.run.hosts.login import HostError
from netkit.clients.run.hosts.order import check
from netkit.clients.run.hosts.settings import Machines, RemoteCommand
from netkit.errors import NetkitError
from netkit.stdio import Lane
from netkit.subprocesses.command import Command


class HostsError(NetkitError):
    """No host is left: the message says why each was set aside."""

    exit_code = 255


class Hosts:
    """Starts each job on the host with the most room; `say` gets lines for a person.

    A host that cannot be used, or is lost, is set aside. A job that had not started there
    starts on another one; one that had is lost, and starts again if it may be retried. When
    no host is left, `spawn` waits for ever, and `gone` raises.
    """

    def __init__(self, machines: Machines, say: Callable[[str], None]) -> None:
        self._say = say
        logging.getLogger("asyncio").addFilter(_news)
        self._lane = Lane("job output")
        self._changed = asyncio.Event()
        self._gone: asyncio.Future[NoReturn] = asyncio.get_running_loop().create_future()
        self._hosts = [
            Host(address, machines, self._lane, self._set_aside, self._change)
            for address in machines.addresses
        ]

    async def spawn(self, command: Command, stdio: tuple[int, int, int]) -> RemoteChild:
        """Start `command`; see `Spawner.spawn`. Its output ends here before its fate is told."""
        check(command)
        while True:
            host = await self._free()
            if isinstance(command, RemoteCommand):
                command.whereabouts.host = host.name
            try:
                return await host.start(command, stdio)
            except (HostError, asyncssh.Error, OSError) as error:
                self._set_aside(host, str(error) or type(error).__name__)

    async def gone(self) -> NoReturn:
        """Wait until a job is to start and there is no host left. Raises `HostsError`."""
        await asyncio.shield(self._gone)
        raise AssertionError

    async def close(self) -> None:
        """Kill what still runs, and wait for it. May be called twice."""
        await asyncio.gather(*(host.close() for host in self._hosts))
        self._lane.close()
        self._gone.cancel()
        logging.getLogger("asyncio").removeFilter(_news)

    async def _free(self) -> Host:
        while True:
            best = max(self._hosts, key=lambda host: host.free)
            if best.free > 0:
                return best
            self._changed.clear()
            if not any(host.jobs or not host.failure for host in self._hosts):
                self._give_up()
            await self._changed.wait()

    def _give_up(self) -> None:
        if not self._gone.done():
            named = "; ".join(f"{host.name}: {host.failure}" for host in self._hosts[:3])
            more = f"; and {len(self._hosts) - 3} more" if len(self._hosts) > 3 else ""
            self._gone.set_exception(HostsError(f"no host is left: {named}{more}"))
            self._gone.exception()  # not everybody waits

    def _set_aside(self, host: Host, why: str) -> None:
        if not host.failure:
            host.failure = why
            left = sum(not each.failure for each in self._hosts)
            self._say(f"host {host.name} is set aside ({left} left): {why}")
            self._change()

    def _change(self) -> None:
        self._changed.set()


def _news(record: logging.LogRecord) -> bool:
    # asyncssh writes on to a connection until it is told that it was lost, with a warning from
    # asyncio for each write after the fifth. We say it once, with the reason.
    return record.getMessage() != "socket.send() raised exception."
