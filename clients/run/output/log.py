"""What is to be written down when a job's output has been handed on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from netkit.clients.run.output.work import Work
from netkit.subprocesses.events import Ended

Log: TypeAlias = Callable[[Work, Ended, str, int], None]
"""Called in the writing thread, with the host and the bytes of standard output."""
