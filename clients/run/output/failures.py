"""What ends a run because output cannot be kept or shown."""

from __future__ import annotations

from netkit.errors import NetkitError


class OutputError(NetkitError):
    """Output, results or the joblog cannot be written: the message says which, and why.

    255 is what GNU parallel ends with then.
    """

    exit_code = 255
