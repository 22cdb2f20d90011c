"""Clients that ask for a host name that is not ASCII (RFC 6066 section 3 wants ASCII).

Where a context has an SNI callback, CPython decodes the name before it calls it.
It fails the handshake if it cannot, and prints a traceback by `sys.unraisablehook`,
as often as anybody likes to make it.
"""

from __future__ import annotations

import sys
from typing import Any


def say_nothing_of_unreadable_names() -> None:
    """Leave such a name to the handshake's line in the log. For a process that netkit owns."""
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        name, error = unraisable.object, unraisable.exc_value
        if not (isinstance(name, bytes) and isinstance(error, UnicodeDecodeError)):
            before(unraisable)

    sys.unraisablehook = hook
