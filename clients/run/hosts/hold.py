"""What is aboard one host: the files of its jobs, and those that all jobs there need."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import asyncssh

from netkit.clients.run.hosts.connections import Connections
from netkit.clients.run.hosts.freight import Freight, FreightError, WreckedError
from netkit.clients.run.hosts.login import HostError
from netkit.clients.run.hosts.settings import Machines, RemoteCommand
from netkit.subprocesses.children import ChildLostError
from netkit.subprocesses.command import NotStartedError


class Hold:
    """Opens SFTP when it is needed first; without files it does nothing."""

    def __init__(self, connections: Connections, machines: Machines) -> None:
        self._connections, self._machines = connections, machines
        self._opening = asyncio.Lock()
        self._freight: Freight | None = None
        self._client: asyncssh.SFTPClient | None = None

    async def load(self, files: RemoteCommand | None) -> None:
        """Send what a job needs. Raises `HostError`, `NotStartedError`."""
        freight = await self._opened(files)
        if not freight or not files:
            return
        for place in files.transfer:
            freight.claim(place)
        try:
            for place in files.transfer:
                await freight.send(place)
        except BaseException as error:  # a cancellation too
            await self.unload(files)
            if isinstance(error, WreckedError):
                raise HostError(str(error)) from None
            if isinstance(error, FreightError):
                raise NotStartedError(f"{files.words[0]}: {error}") from None
            raise

    async def finish(self, files: RemoteCommand | None, status: int, wanted: bool) -> None:
        """Bring back what a job made, if that is `wanted`, and unload.

        Raises `ChildLostError`: it has succeeded, and what it made is not here.
        """
        if not files or not self._freight:
            return
        try:
            for place in files.bring if wanted else ():
                await self._freight.bring(place)
        except FreightError as error:
            if status == 0:  # else it says itself that it failed
                raise ChildLostError(str(error)) from None
        finally:
            await self.unload(files)

    async def unload(self, files: RemoteCommand | None) -> None:
        """A job needs its files no more: those that are to be removed are."""
        if not files or not self._freight:
            return
        for place in files.transfer:
            self._freight.disclaim(place)
        if self._machines.cleanup:
            for place in {*files.transfer, *files.bring}:
                await self._freight.remove(place)

    async def clear(self) -> None:
        """No more jobs come: remove what all had, and our folders that are empty by now."""
        if self._freight and self._machines.cleanup:
            for place in self._machines.base:
                await self._freight.remove(place)
            await self._freight.tidy()
        if self._client:
            self._client.exit()
            await self._client.wait_closed()
            self._client = None

    async def _opened(self, files: RemoteCommand | None) -> Freight | None:
        base = self._machines.base
        if not base and (not files or not (files.transfer or files.bring)):
            return None
        async with self._opening:
            if not self._freight:
                # Nobody gives its session back: it is open as long as its connection.
                client, _ = await self._connections.session(_sftp)
                self._client = client
                freight = Freight(client, self._machines.folder)
                for place in base:
                    try:
                        await freight.send(place)
                    except FreightError as error:
                        raise HostError(str(error)) from None
                self._freight = freight
        return self._freight


def _sftp(connection: asyncssh.SSHClientConnection) -> Awaitable[asyncssh.SFTPClient]:
    return connection.start_sftp_client()
