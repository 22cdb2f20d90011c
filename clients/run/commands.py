"""Rows become commands, as slots become free."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from netkit.clients.run.ahead import Ahead
from netkit.clients.run.gates import MACHINE, Gate
from netkit.clients.run.hosts.places import place
from netkit.clients.run.hosts.settings import RemoteCommand
from netkit.clients.run.joblog import Joblog
from netkit.clients.run.output.outputs import Outputs
from netkit.clients.run.output.work import Work
from netkit.clients.run.planning import Plan
from netkit.clients.run.settings import Wishes
from netkit.clients.run.slots import Slots
from netkit.clients.run.sources import Row
from netkit.errors import NetkitError
from netkit.subprocesses.command import Command


class Commands:
    """An asynchronous iterator for the engine; until `halt` nothing else ends it early.

    `failure` is why arguments could not be read to their end.
    """

    def __init__(
        self, wishes: Wishes, planned: Plan, outputs: Outputs, joblog: Joblog | None
    ) -> None:
        self._wishes, self._plan, self._outputs, self._joblog = wishes, planned, outputs, joblog
        self._rows = Ahead(planned.rows)
        self._stop = asyncio.Event()
        self._gate = Gate(wishes.pace, self._stop, MACHINE, self._say)
        self._slots = Slots(wishes.pace.limit) if planned.template.numbers_slots else None
        self._given: dict[int, tuple[Work, Command]] = {}
        self.failure: NetkitError | None = None

    @property
    def running(self) -> int:
        """Jobs that were given and have not ended."""
        return len(self._given)

    def halt(self) -> None:
        """Give no more."""
        self._stop.set()
        self._rows.close()

    def host(self, job: int) -> str:
        """Where a job runs, as the joblog has it."""
        _, command = self._given[job]
        return command.whereabouts.host if isinstance(command, RemoteCommand) else ":"

    def ended(self, job: int) -> Work:
        """The work of a job that has ended; it is forgotten."""
        self._free(job)
        return self._given.pop(job)[0]

    async def __aiter__(self) -> AsyncIterator[Command]:
        job = number = skipped = 0
        try:
            async for row in self._rows:
                number += 1
                if self._joblog and self._joblog.has(number):
                    skipped += 1
                    continue
                slot = await self._slots.take(job + 1) if self._slots else 0
                words = self._plan.template.words(row, number, slot)
                work = self._plan.work(number, row, words)
                if self._wishes.resume_results and self._outputs.recorded(work):
                    skipped += 1
                    self._free(job + 1)
                    continue
                if not await self._gate.passed():
                    break
                if (total := self._rows.total) is not None:
                    self._outputs.total = total - skipped
                job += 1
                yield await self._command(job, work, self._made(row, number, slot, words))
        except NetkitError as error:
            self.failure = error

    def _made(self, row: Row, number: int, slot: int, words: tuple[str, ...]) -> Command:
        around, files = self._wishes.jobs.surroundings, self._plan.files
        if not self._wishes.machines:
            return Command(words, surroundings=around)
        return RemoteCommand(
            words,
            surroundings=around,
            transfer=tuple(map(place, files.sent.words(row, number, slot))),
            bring=tuple(map(place, files.brought.words(row, number, slot))),
        )

    async def _command(self, job: int, work: Work, command: Command) -> Command:
        stdout, stderr = await self._outputs.begin(job, work)
        command = replace(command, stdout=stdout, stderr=stderr)
        self._given[job] = work, command
        return command

    def _free(self, job: int) -> None:
        if self._slots:
            self._slots.give_back(job)

    def _say(self, why: str) -> None:
        self._outputs.say(f"netkit: {why}")
