"""The kernel's timers as descriptors (timerfd_create(2)): Python has them since 3.13."""

from __future__ import annotations

import ctypes
import os
import sys
import time

AVAILABLE = sys.platform == "linux"
"""Whether this system has them."""

_ABSOLUTE = 1  # TFD_TIMER_ABSTIME
_SECOND = 1_000_000_000


def periodic(first: int, period: int) -> int:
    """A descriptor that is readable at `first` and each `period` after it, and does not block.

    Both in nanoseconds, `first` on the clock of `time.monotonic_ns`. A read of eight bytes
    clears it until the next time. The caller closes it. Raises `OSError`.
    """
    descriptor = _created()
    try:
        _set(descriptor, first, period)
    except BaseException:  # whatever it is, the descriptor is not left open
        os.close(descriptor)
        raise
    return descriptor


if sys.version_info >= (3, 13):

    def _created() -> int:
        return os.timerfd_create(time.CLOCK_MONOTONIC, flags=os.TFD_NONBLOCK | os.TFD_CLOEXEC)

    def _set(descriptor: int, first: int, period: int) -> None:
        os.timerfd_settime_ns(descriptor, flags=_ABSOLUTE, initial=first, interval=period)

else:

    def _created() -> int:
        return _checked(_libc().timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC))

    def _set(descriptor: int, first: int, period: int) -> None:
        # A struct itimerspec: seconds and nanoseconds of the interval, then of the first time.
        times = (ctypes.c_long * 4)(*divmod(period, _SECOND), *divmod(first, _SECOND))
        _checked(_libc().timerfd_settime(descriptor, _ABSOLUTE, ctypes.byref(times), None))

    def _libc() -> ctypes.CDLL:
        return ctypes.CDLL(None, use_errno=True)

    def _checked(result: int) -> int:
        if result < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return result
