"""Signals that we get and pass on, so that Ctrl-C here ends the program there.

A second one of a kind that ends ends us: the program there may not heed the first.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PASSED = {signal.SIGINT: "INT", signal.SIGTERM: "TERM", signal.SIGHUP: "HUP"}


class LeftError(Exception):
    """We were told twice to end: then by `number`, without waiting for the other side."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.number = number


@contextmanager
def passed_on(
    tell: Callable[[str], None], leave: Callable[[LeftError], None], resized: Callable[[], None]
) -> Iterator[None]:
    """Call `tell` with the name of each signal for the length of the block, `leave` at a second.

    `resized` is called when our terminal has another size. Uses the running loop.
    """
    loop = asyncio.get_running_loop()
    heard: set[signal.Signals] = set()

    def on(number: signal.Signals) -> None:
        if number in heard:
            leave(LeftError(number))
        heard.add(number)
        tell(PASSED[number])

    for number in PASSED:
        loop.add_signal_handler(number, on, number)
    loop.add_signal_handler(signal.SIGWINCH, resized)
    try:
        yield
    finally:
        for number in (*PASSED, signal.SIGWINCH):
            loop.remove_signal_handler(number)
