r"""Where results go: GNU parallel's tree, ``1/VALUE/2/VALUE`` or ``NAME/VALUE/NAME/VALUE``.

A value is one name in it, whatever it holds: ``\`` is ``\\``, ``/`` is ``\_``, a tab is ``\t``
and a NUL ``\0``, as GNU parallel has it. It leaves the rest as it is, so that ``..`` leads
out of the folder, nothing at all is lost, and what is too long is cut and shared. Here these
are ``\.``, ``\..``, ``\e``, and the beginning with a digest behind it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

LONGEST = 255
"""Bytes of a name: NAME_MAX of the file systems in use."""
KEPT = 200
"""Of one that is longer."""

_SPECIAL = {b"\\": rb"\\", b"\t": rb"\t", b"\0": rb"\0", b"/": rb"\_"}
_WHOLE = {b"": rb"\e", b".": rb"\.", b"..": rb"\.."}


def name(value: str) -> str:
    """A value as the name of a folder, in which nothing leads anywhere else."""
    raw = os.fsencode(value)
    quoted = _WHOLE.get(raw) or re.sub(rb"[\\\t\0/]", lambda found: _SPECIAL[found[0]], raw)
    if len(quoted) > LONGEST:
        quoted = quoted[:KEPT] + rb"\~" + hashlib.sha256(raw).hexdigest()[:16].encode()
    return os.fsdecode(quoted)


def path(number: int, arguments: Sequence[tuple[str, str]]) -> Path:
    """The folder of a job below that of all results; its number where it has no arguments."""
    if not arguments:
        return Path(str(number))
    ordered = sorted(arguments, key=lambda pair: _order(pair[0]))
    return Path(*(name(part) for pair in ordered for part in pair))


def _order(column: str) -> tuple[float, str]:
    # As Perl compares: by the number at the beginning, which a name has not, then as text.
    number = re.match(r"\s*[+-]?\d+(?:\.\d*)?", column)
    return (float(number[0]) if number else 0.0, column)
