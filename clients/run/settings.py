"""What one asks of `netkit run`, a dataclass for each concern. Times are in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field

from netkit.clients.run.gates import Pace
from netkit.clients.run.halt import Halt
from netkit.clients.run.hosts.settings import Machines
from netkit.clients.run.joblog import Resume
from netkit.clients.run.output.form import Form
from netkit.clients.run.rows import Asked
from netkit.subprocesses.command import OURS, Surroundings
from netkit.subprocesses.retries import NONE, Retries


@dataclass(frozen=True, slots=True)
class Jobs:
    """What each job is."""

    command: tuple[str, ...] = ()
    """With replacement strings; empty: each argument is a command."""
    shell: bool = False
    """Run by a shell, with arguments quoted."""
    repeated: bool = False
    """A word with ``{}`` comes once for each argument."""
    surroundings: Surroundings = OURS
    timeout: float | None = None
    grace: float = 5.0
    """From TERM to KILL."""
    retries: Retries = NONE


@dataclass(frozen=True, slots=True)
class Logged:
    """The joblog."""

    path: str
    resume: Resume = ""


@dataclass(frozen=True, slots=True)
class Wishes:
    """All of it."""

    jobs: Jobs
    asked: Asked = field(default_factory=Asked)
    pace: Pace = field(default_factory=Pace)
    halt: Halt | None = None
    form: Form = field(default_factory=Form)
    joblog: Logged | None = None
    machines: Machines | None = None
    """Others than this one."""
    resume_results: bool = False
    """Skip jobs of which there are results."""
