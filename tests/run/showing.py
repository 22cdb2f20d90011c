"""Jobs through the engine and `Outputs`, as a session has them, in this process or another.

``python -m tests.run.showing '{"form": {"mode": "live"}, "joblog": "log"}' COMMAND…`` runs each
command by a shell and ends as `netkit run` would.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netkit.clients.run.joblog import Joblog
from netkit.clients.run.output.form import Form
from netkit.clients.run.output.outputs import Outputs
from netkit.clients.run.output.work import Work
from netkit.errors import NetkitError
from netkit.signals import die_by
from netkit.stdio import OutputClosedError
from netkit.subprocesses.command import Command
from netkit.subprocesses.events import Ended, Event
from netkit.subprocesses.retries import NONE, Retries
from netkit.subprocesses.runner import Runner


def work(number: int, value: str) -> Work:
    """A job of one argument, which is the shell's command."""
    return Work(number, value, (("1", value),), value)


@dataclass
class Run:
    """What to run and how; `run` may be called once."""

    form: Form
    works: Sequence[Work]
    joblog: Joblog | None = None
    limit: int = 4
    retries: Retries = NONE
    seen: Callable[[Event], None] = lambda event: None
    ended: list[Ended] = field(default_factory=list)

    async def run(self, stdout: int | None, stderr: int | None) -> None:
        """Run all of it."""
        async with Outputs(self.form, stdout, stderr, joblog=self.joblog) as outputs:
            outputs.total = len(self.works)
            async with Runner(self.limit, retries=self.retries) as runner:
                async for event in runner.map(self._commands(outputs)):
                    await outputs.event(event)
                    self.seen(event)
                    if isinstance(event, Ended):
                        self.ended.append(event)
            await outputs.finish()

    async def into_files(self) -> tuple[bytes, bytes]:
        """Run all of it, and give standard output and error."""
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            await self.run(stdout.fileno(), stderr.fileno())
            return os.pread(stdout.fileno(), 1 << 30, 0), os.pread(stderr.fileno(), 1 << 20, 0)

    async def _commands(self, outputs: Outputs) -> AsyncIterator[Command]:
        job = 0
        for one in self.works:
            if self.joblog and self.joblog.has(one.number):
                continue
            job += 1
            stdout, stderr = await outputs.begin(job, one)
            yield Command(("/bin/sh", "-c", one.line), stdout=stdout, stderr=stderr)


async def shown(form: Form, *lines: str, **options: Any) -> tuple[bytes, bytes]:
    """Standard output and error of these shell commands."""
    works = [work(number, line) for number, line in enumerate(lines, 1)]
    return await Run(form, works, **options).into_files()


def main() -> None:
    """See above."""
    asked, lines = json.loads(sys.argv[1]), sys.argv[2:]
    works = [work(number, line) for number, line in enumerate(lines, 1)]
    form = asked.get("form", {})
    if "results" in form:
        form["results"] = Path(form["results"])
    try:
        joblog = Joblog.open(asked.get("joblog", os.devnull), asked.get("resume", ""))
        with closing(joblog):
            asyncio.run(Run(Form(**form), works, joblog, asked.get("limit", 4)).run(1, 2))
    except OutputClosedError:
        die_by(signal.SIGPIPE)
    except NetkitError as error:
        sys.stderr.write(f"netkit: {error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
