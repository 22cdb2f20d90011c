"""Where a file is on both sides, as rsync(1) ``--relative`` has it and GNU parallel with it.

==================  ==================  =====================
as given            here                there
==================  ==================  =====================
``a/b``             ``a/b``             ``a/b``, in the folder of the jobs
``/data/a/b``       ``/data/a/b``       ``/data/a/b``
``/data/./a/b``     ``/data/a/b``       ``a/b``
``../a``            refused             it would be outside of that folder
==================  ==================  =====================
"""

from __future__ import annotations

import posixpath
from typing import NamedTuple

from netkit.errors import UsageError


class Place(NamedTuple):
    """One file."""

    here: str
    there: str


def place(path: str) -> Place:
    """Where it is. Raises `UsageError` for what is no file's name, or leads out of the folder."""
    if "\0" in path:
        raise UsageError(f"{path!r}: a name cannot hold a NUL")
    _, marked, tail = path.partition("/./")
    there = tail.lstrip("/") if marked else path
    names = there.split("/")
    if ".." in names:
        raise UsageError(
            f"{path}: leads out of the folder there; give a path without .. , or mark with /./ "
            "where the path there begins"
        )
    if names[-1] in ("", "."):
        raise UsageError(f"{path}: is not the name of a file")
    return Place(path, posixpath.normpath(there).replace("//", "/", 1))
