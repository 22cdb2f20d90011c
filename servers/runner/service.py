"""The command runner as `netkit serve` runs it: its settings, and how its parts fit together."""

from __future__ import annotations

import asyncio
import logging
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from netkit.addresses import Address
from netkit.errors import UsageError
from netkit.servers.runner.admission import Caps
from netkit.servers.runner.audit import Audit
from netkit.servers.runner.callers import require_trusted
from netkit.servers.runner.connection import Connection
from netkit.servers.runner.house import House
from netkit.servers.runner.lists import List
from netkit.servers.runner.runs import Keeping, Runs
from netkit.service import ProtocolFactory, Service
from netkit.subprocesses.helpers import Helpers

log = logging.getLogger("netkit.server")

LOOK = 1.0
"""Seconds between looks at the list's file, and at detached jobs that have ended."""


@dataclass
class Runner(Service):
    """Run commands of an allow-list for callers who are known: no shell, nothing else."""

    port: ClassVar[int] = 8622
    one_process: ClassVar[bool] = True

    allow: Path | None = field(
        default=None, metadata={"help": "the allow-list (TOML); without one nothing may be run"}
    )
    audit: Path | None = field(
        default=None, metadata={"help": "file for the audit log  [default: netkit's own log]"}
    )
    max_jobs: int = field(default=32, metadata={"help": "jobs that run at a time"})
    max_jobs_per_caller: int = field(default=8, metadata={"help": "of them, of one caller"})
    max_queue: int = field(default=128, metadata={"help": "jobs that wait"})
    max_queue_per_caller: int = field(default=16, metadata={"help": "of them, of one caller"})
    max_detached: int = field(
        default=64, metadata={"help": "detached jobs that are kept, running or ended"}
    )
    max_detached_per_caller: int = field(default=16, metadata={"help": "of them, of one caller"})
    replay: int = field(
        default=1024 * 1024, metadata={"help": "bytes kept of a detached job's output"}
    )
    keep: float = field(
        default=3600.0, metadata={"help": "seconds that a detached job is kept after its end"}
    )

    def __post_init__(self) -> None:
        for setting in fields(self):
            value = getattr(self, setting.name)
            if isinstance(value, (int, float)) and not value > 0:  # so that nan fails too
                flag = setting.name.replace("_", "-")
                raise UsageError(f"--{flag} {value:g}: give more than 0")
        self._list = List(self.allow)
        self._draining = asyncio.Event()

    def stream(self) -> ProtocolFactory:
        """Serve each connection, by frames or by lines."""
        return lambda: Connection(self._house)

    def commands(self, address: Address) -> tuple[str, ...]:
        """Its own client's; it says by itself which certificate is missing."""
        return (f"netkit exec --list {shlex.quote(str(address).removeprefix('tcp://'))}",)

    def admits(self, address: Address, *, verified: bool) -> None:
        """Raise `UsageError` for an address at which nobody would be known.

        `verified`: whether TLS demands client certificates there.
        """
        require_trusted(address, verified=verified)

    async def __aenter__(self) -> Self:
        if self.allow is None:
            log.warning("no --allow FILE is given: nothing may be run")
        self._draining.clear()
        self._audit = Audit(self.audit)
        self._spawner = Helpers()
        caps = Caps(
            self.max_jobs, self.max_jobs_per_caller, self.max_queue, self.max_queue_per_caller
        )
        keeping = Keeping(
            self.replay, self.keep, self.max_detached, self.max_detached_per_caller
        )  # fmt: skip
        runs = Runs(caps, keeping, self._audit, self._spawner)
        self._house = House(self._list, runs)
        try:
            await self._audit.open()
        except BaseException:  # a cancellation too
            self._audit.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """1. end the jobs, 2. let their last lines be written, 3. end the spawn helpers."""
        await self._house.runs.end()
        if self._house.tasks:
            await asyncio.wait(self._house.tasks)
        await self._spawner.close()
        self._audit.close()

    async def run(self) -> None:
        """Look at the list's file and at old jobs, until the end."""
        while not self._draining.is_set():
            await self._list.look()
            self._house.runs.expire()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self._draining.wait()

    async def drain(self) -> None:
        """Take no more jobs; those that run have the grace period to end."""
        self._draining.set()
        await self._house.runs.close_door()

    def figures(self) -> Mapping[str, float]:
        """Count what an operator wants to know."""
        runs = self._house.runs
        return {
            "runner_jobs": runs.admission.running,
            "runner_queued_jobs": len(runs.admission.waiting),
            "runner_detached_jobs": runs.kept,
            "runner_jobs_total": runs.begun,
            "runner_refused_total": runs.refused,
        }
