"""What connections share, and what each of them asks of it."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from netkit.jobs.messages import Start
from netkit.servers.runner.allowlist import Permission
from netkit.servers.runner.callers import Caller
from netkit.servers.runner.job import Order
from netkit.servers.runner.lists import List
from netkit.servers.runner.refusals import RefusedError
from netkit.servers.runner.runs import Runs
from netkit.subprocesses.command import WindowSize

log = logging.getLogger("netkit.server")

_TERM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


@dataclass(eq=False)
class House:
    """The list in force, the jobs, and the tasks that connections have begun."""

    list: List
    runs: Runs
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def own(self, task: asyncio.Task[None]) -> None:
        """Keep a task until it is done, for which the service waits at its end."""
        self.tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a wish was lost", exc_info=error)

    async def order(self, start: Start, caller: Caller, peer: str) -> Order:
        """What a caller asks for, as the list allows it. Raises `RefusedError`."""
        permission = self.list.current.permission(start.name, caller)
        require_granted(permission, start)
        words = await self._words(permission, start.arguments, start.named)
        return Order(
            caller, peer, permission, words,
            stdin=(start.stdin and permission.stdin and not start.detach) or bool(start.terminal),
            detach=start.detach,
            terminal=window(start.terminal.rows, start.terminal.columns)
            if start.terminal else None,
            term=start.terminal.name if start.terminal else "",
        )  # fmt: skip

    async def _words(
        self, permission: Permission, arguments: tuple[str, ...], named: Mapping[str, str]
    ) -> tuple[str, ...]:
        if permission.looks:  # a file system may take its time
            return await asyncio.to_thread(permission.filled, arguments, named)
        return permission.filled(arguments, named)


def require_granted(permission: Permission, start: Start) -> None:
    """Raise `RefusedError` for a terminal or a detached job that the list does not grant."""
    if start.detach and not permission.detach:
        raise RefusedError("denied", f"{start.name} may not be detached")
    if start.terminal is None:
        return
    if not permission.terminal:
        raise RefusedError("denied", f"{start.name} may not have a terminal")
    if start.detach:
        raise RefusedError("argument", "a detached job has no terminal")
    if start.terminal.name and not _TERM.fullmatch(start.terminal.name):
        raise RefusedError("argument", "the terminal's name is none")


def window(rows: int, columns: int) -> WindowSize:
    """A window size. Raises `RefusedError` if there is none such."""
    if not (0 <= rows < 2**16 and 0 <= columns < 2**16):
        raise RefusedError("argument", "no window has this size")
    return WindowSize(rows, columns)
