"""What a worker does that no longer answers: its stack, asked for by a signal.

A handler of Python's runs between two bytecodes, and a thread needs the interpreter
lock: neither comes to its turn while C code keeps it, as a regular expression that
backtracks does. `faulthandler` reads the stack in the C handler itself, and writes it
to memory that the supervisor made.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from netkit.observability.stalls import LOOPS_OWN

SIGNAL = signal.SIGRTMIN
"""A realtime signal: by custom these mean nothing to anybody."""

WRITTEN = 0.5
"""Seconds in which a process that can write its stack has done so."""

LOOK = 0.02
"""Seconds between two looks; what has not grown since the last is whole."""

FRAME = re.compile(r'^  File "(?P<file>.*)", line (?P<line>\d+|\?\?\?) in (?P<name>.*)$', re.M)


@dataclass(eq=False)
class Snapshot:
    """The supervisor's side, for one worker. Raises OSError if there is no memory; close it."""

    descriptor: int = field(default_factory=lambda: os.memfd_create("netkit-stack"))
    _taking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def take(self, send: Callable[[signal.Signals], None]) -> list[str] | None:
        """Where the loop's thread is, outermost first: ``handle() in app.py:12``.

        Empty if the loop itself waits there; None if nothing came: the process is stopped,
        or deep in the kernel. `send` brings it a signal.
        """
        async with self._taking:
            # One open file for both processes, so this is where the worker writes next.
            os.lseek(self.descriptor, 0, os.SEEK_SET)
            os.ftruncate(self.descriptor, 0)
            send(SIGNAL)
            size = 0
            for _ in range(round(WRITTEN / LOOK)):
                await asyncio.sleep(LOOK)  # a memory file rings no bell
                before, size = size, os.fstat(self.descriptor).st_size
                if size and size == before:
                    break
            text = os.pread(self.descriptor, size, 0).decode(errors="replace")
        return places(text) if text else None

    def close(self) -> None:
        """Give the memory back."""
        os.close(self.descriptor)


def heed(descriptor: int) -> None:
    """A worker's side, for as long as the process lives: write its stack when it is asked to.

    Of the thread that the signal comes to, which is the first; others cannot be read safely
    while they run.
    """
    os.set_inheritable(descriptor, False)
    faulthandler.register(SIGNAL, file=descriptor, all_threads=False)


def places(text: str) -> list[str]:
    """What faulthandler wrote, as places, without what leads to the loop and the loop's own."""
    frames = [each.groupdict() for each in FRAME.finditer(text)][::-1]
    own = [any(part in each["file"] for part in LOOPS_OWN) for each in frames]
    begins = own.index(True) if True in own else 0
    while begins < len(own) and own[begins]:
        begins += 1
    return [
        "{name}() in {place}:{line}".format(place=Path(each["file"]).name, **each)
        for each in frames[begins:]
    ]
