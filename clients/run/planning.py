"""What was asked becomes jobs, one after the other; everything here may block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from netkit.clients.run.hosts.settings import Machines
from netkit.clients.run.output.work import Work
from netkit.clients.run.rows import Asked, rows
from netkit.clients.run.settings import Jobs
from netkit.clients.run.sources import Row
from netkit.clients.run.template import Plain, Template, filled, template


@dataclass(frozen=True, slots=True)
class Files:
    """What goes to another machine before a job, and comes back after it."""

    sent: Plain
    brought: Plain


@dataclass(frozen=True, slots=True)
class Plan:
    """Jobs to come."""

    template: Template
    files: Files
    names: Row
    rows: Iterator[Row]
    total: int | None = None
    """How many, if that is known."""

    def work(self, number: int, row: Row, words: tuple[str, ...]) -> Work:
        """What is shown and recorded of a job."""
        places = map(str, range(1, len(row) + 1))
        names = (name or place for name, place in zip_longest(self.names[: len(row)], places))
        line = self.template.line(words)
        return Work(number, line, tuple(zip(names, row, strict=True)), " ".join(row))


def plan(
    jobs: Jobs, asked: Asked, machines: Machines | None = None, *, counted: bool = False
) -> Plan:
    """Open the sources, and read the command; may wait for input. Raises `UsageError`.

    With `counted` all arguments are read first.
    """
    found = rows(asked)
    names = found.names if asked.reading.header else None
    made = template(jobs.command, names=names, shell=jobs.shell, repeated=jobs.repeated)
    sent, brought = (machines.transfer, machines.bring) if machines else ((), ())
    files = Files(filled(sent, names), filled(brought, names))
    if not counted:
        return Plan(made, files, found.names, found.jobs)
    held = list(found.jobs)
    return Plan(made, files, found.names, iter(held), len(held))


def lines(jobs: Jobs, asked: Asked, limit: int) -> Iterator[str]:
    """The commands as one would type them: what would be run. Raises `UsageError`."""
    planned = plan(jobs, asked)
    for number, row in enumerate(planned.rows):
        words = planned.template.words(row, number + 1, number % limit + 1)
        yield planned.template.line(words)
