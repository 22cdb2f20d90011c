"""Everything netkit raises, and the exit code each means.

::

    NetkitError
    ├── UsageError          2  an option, target or file as given is wrong
    │   └── CertificateError 2  a certificate or key cannot be used
    ├── StartError          3  all was well asked, but the server could not start
    └── NetworkError        1  the other side, or the way to it, failed a client

``str(error)`` is the one line that a person sees: what is wrong, where, and
what to do about it. It has no traceback beside it.
"""

from __future__ import annotations

from typing import ClassVar


class NetkitError(Exception):
    """Any error that netkit explains in one line; `exit_code` is the process's status."""

    exit_code: ClassVar[int] = 1


class UsageError(NetkitError):
    """What the caller asked for cannot be meant: the message names the flag or file."""

    exit_code = 2


class CertificateError(UsageError):
    """A certificate, key or CA file cannot be used: the message names the file."""


class StartError(NetkitError):
    """The server could not start: port taken, permission missing, lifespan failed."""

    exit_code = 3


class NetworkError(NetkitError):
    """A client could not reach, trust or keep its peer."""

    exit_code = 1
