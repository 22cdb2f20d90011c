"""What the signals mean to the process that a person or systemd started.

=============== ==============================================================
TERM, INT, QUIT  drain and end; a second one of them ends the grace period
HUP              reload, or the end if the terminal is gone
USR1, USR2       nothing, unless the author's code takes them
TTIN, TTOU       `supervisor` scales by them; to a single process they are nothing
=============== ==============================================================

QUIT counts as TERM: by its own default it would dump core. USR1 means "open your log
files again" to other servers, and ours has none; by its default it would be the end.
So would TTIN be a process that has stopped and answers nobody.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from netkit.terminal import Terminal

Told = asyncio.Future[signal.Signals]

ENDS = {
    signal.SIGTERM: signal.SIGTERM,
    signal.SIGINT: signal.SIGINT,
    signal.SIGQUIT: signal.SIGTERM,
}
"""Signals that end a server, and by which it dies."""

SPARE = (signal.SIGUSR1, signal.SIGUSR2)


@contextmanager
def heeded(hurry: Callable[[], None], reload: Callable[[], None]) -> Iterator[Told]:
    """Hear signals for the length of the block; gives the future of the one to die by.

    `hurry` is called at every further one that ends, `reload` at HUP. Uses the running loop.
    """
    loop = asyncio.get_running_loop()
    told: Told = loop.create_future()
    terminal = Terminal()

    def on_end(number: signal.Signals) -> None:
        if told.done():
            hurry()
        else:
            told.set_result(number)

    def on_hangup() -> None:
        if terminal.is_gone():
            on_end(signal.SIGHUP)
        else:
            reload()

    for number, death in ENDS.items():
        loop.add_signal_handler(number, on_end, death)
    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    leave_spare(loop)
    try:
        yield told
    finally:
        for number in (*ENDS, signal.SIGHUP):
            loop.remove_signal_handler(number)


def leave_spare(loop: asyncio.AbstractEventLoop) -> None:
    """Let signals that are not ours do nothing, where nobody has taken them yet.

    By handlers, which unlike ``SIG_IGN`` are not inherited by the programs that a server starts.
    """
    for number in SPARE:
        if signal.getsignal(number) is signal.SIG_DFL:
            loop.add_signal_handler(number, _nothing)


def stay_awake() -> None:
    """Ignore TTIN and TTOU: one process has nothing to scale, and must not stop.

    Not by handlers: the kernel sends TTOU over and over to a background process that
    writes to its terminal (``stty tostop``), unless that is ignored.
    """
    for number in (signal.SIGTTIN, signal.SIGTTOU):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.SIG_IGN)


def die_by(number: signal.Signals) -> None:
    """End this process by a signal's default action, so that its parent sees which one."""
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    signal.raise_signal(number)


def _nothing() -> None:
    """Not our signal."""
