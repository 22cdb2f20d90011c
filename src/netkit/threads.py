"""Threads of our own, which signals leave alone.

The kernel gives a signal to any thread that does not block it (signal(7)). Where the main
thread blocks one for a while, as a worker does at its end, it would come by another
thread all the same, and Python would write to the wakeup socket of a loop that is closed.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

_OWN_FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT}
"""What a thread does to itself: for `faulthandler` to tell of."""


def start(run: Callable[[], object], name: str) -> threading.Thread:
    """Start a daemon thread that blocks all signals from its first moment on."""
    thread = threading.Thread(target=run, name=name, daemon=True)
    # It inherits the mask of who starts it (pthread_create(3)).
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - _OWN_FAULTS)
    try:
        thread.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return thread
