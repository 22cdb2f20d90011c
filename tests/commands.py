"""Commands run in this process: what they say and how they end, without a start of Python each."""

from __future__ import annotations

import asyncio
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO

from netkit.cli import main


@dataclass(frozen=True)
class Ended:
    """Status of a command, and what it said on standard output and error."""

    status: int
    output: str
    errors: str


def netkit(*words: object) -> Ended:
    """Run ``netkit …`` to its end; one that serves would end this process with it."""
    output, errors = StringIO(), StringIO()
    with redirect_stdout(output), redirect_stderr(errors):
        try:
            main(list(map(str, words)))
        except SystemExit as end:
            status = end.code
    assert isinstance(status, int)
    return Ended(status, output.getvalue(), errors.getvalue())


async def netkit_beside(*words: object) -> Ended:
    """Run it in a thread, beside a server in the loop. Not two at once: they share `sys.stdout`."""
    return await asyncio.to_thread(netkit, *words)
