"""Names what holds up the loop, while it does, at next to no cost.

asyncio's debug mode times every callback and can say only afterwards which one
was slow. Here a timer shows four times per threshold that the loop turns, and a
thread looks whether it did: if not, it reads the loop's thread's stack
(`sys._current_frames`). That is eight wake-ups a second at the default, on both
loops.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from math import inf
from pathlib import Path
from types import FrameType

from netkit import threads

log = logging.getLogger("netkit.server")

THRESHOLD = 0.5
"""Seconds without a turn of the loop that are worth a line."""

PAUSE = 10.0
"""Seconds after a line before the next one: a server that blocks all the time says so enough."""

LOOPS_OWN = ("/asyncio/", "/uvloop/", "/selectors.py", "/concurrent/futures/", "/netkit/links.py")


class Stalls:
    """Watches the running loop from `start` to `stop`."""

    def __init__(self, threshold: float = THRESHOLD) -> None:
        self._threshold = threshold
        self._turned = inf
        self._timer: asyncio.TimerHandle | None = None
        self._over = threading.Event()

    def start(self) -> None:
        """Watch; call it in the loop's thread."""
        self._loop = asyncio.get_running_loop()
        self._watched = threading.get_ident()
        self._thread = threads.start(self._watch, "netkit-stalls")
        self._turn()  # not before: the start of a thread can take its time

    def stop(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._over.set()
        self._thread.join()

    def _turn(self) -> None:
        self._turned = time.monotonic()
        self._timer = self._loop.call_later(self._threshold / 4, self._turn)

    def _watch(self) -> None:
        while not self._over.wait(self._threshold / 4):
            late = time.monotonic() - self._turned
            if late < self._threshold:
                continue
            frame = sys._current_frames().get(self._watched)
            log.warning("the loop has been held up for %.1f s%s", late, place(frame))
            self._over.wait(PAUSE)


def place(frame: FrameType | None) -> str:
    """Where the author's code is: its innermost frame, and the library that it waits in."""
    inside = ""
    while frame is not None:
        code = frame.f_code
        if any(part in code.co_filename for part in LOOPS_OWN):
            return inside and f" in {inside}"
        file = Path(code.co_filename)
        if not is_library(file):
            where = f" by {code.co_qualname}() in {file.name}:{frame.f_lineno}"
            return where + (f", in {inside}" if inside else "")
        inside = inside or f"{code.co_qualname}() of {file.name}"
        frame = frame.f_back
    return ""


def is_library(file: Path) -> bool:
    """Whether a file is installed, not the author's."""
    standard = Path(asyncio.__file__).parents[1]
    return "site-packages" in file.parts or file.is_relative_to(standard)
