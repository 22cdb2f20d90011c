"""In which surroundings a command of the list runs: nothing of ours unless the list names it."""

from __future__ import annotations

import os
import pwd
import re
import resource
from pathlib import Path

from netkit.servers.runner.tables import Table
from netkit.subprocesses.command import Surroundings

PATH = "/usr/local/bin:/usr/bin:/bin"
"""What PATH is unless the list says otherwise."""

LIMITS = {
    name: getattr(resource, f"RLIMIT_{name.upper()}")
    for name in ("as", "core", "cpu", "data", "fsize", "memlock", "nofile", "nproc", "stack")
}

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OCTAL = re.compile(r"0?[0-7]{3}")


def read(table: Table) -> Surroundings:
    """What a command's table says of them. Raises `UsageError`."""
    return Surroundings(
        cwd=_folder(table),
        env=_environment(table.table("environment")),
        umask=_umask(table),
        nice=table.whole("nice", 0, -20, 19) or None,
        limits=_limits(table),
        user=_user(table),
    )


def _folder(table: Table) -> Path:
    folder = Path(table.take("cwd", str) or "/")
    if not folder.is_absolute() or not folder.is_dir():
        raise table.wrong("cwd", f"{folder} is no absolute path of a folder")
    return folder


def _environment(table: Table) -> dict[str, str]:
    passed, fixed = table.texts("pass") or (), table.pairs("set", str)
    table.finish()
    for key, names in (("pass", passed), ("set", fixed)):
        for name in names:
            if not _VARIABLE.fullmatch(name):
                raise table.wrong(key, f"{name!r} is no name of a variable")
    ours = {name: os.environ[name] for name in passed if name in os.environ}
    return {"PATH": PATH, **ours, **fixed}


def _umask(table: Table) -> int | None:
    text = table.take("umask", str)
    if text is None:
        return None
    if not _OCTAL.fullmatch(text):
        raise table.wrong("umask", f'{text!r}: give three octal digits in quotes, like "027"')
    return int(text, 8)


def _limits(table: Table) -> dict[int, tuple[int, int]]:
    limits = {}
    for name, value in table.pairs("limits", int).items():
        if name not in LIMITS:
            raise table.wrong("limits", f"{name!r} is none of {', '.join(LIMITS)}")
        if not 0 <= value < 2**63:
            raise table.wrong("limits", f"{name} is {value}; give 0 or more")
        limits[LIMITS[name]] = (value, value)
    return limits


def _user(table: Table) -> str | None:
    user = table.take("user", str)
    if user is None:
        return None
    try:
        number = pwd.getpwuid(int(user)).pw_uid if user.isdigit() else pwd.getpwnam(user).pw_uid
    except (KeyError, OverflowError):
        raise table.wrong("user", f"there is no user {user!r}") from None
    if os.geteuid() not in (0, number):
        raise table.wrong("user", f"only root may run programs as {user!r}")
    return user if number != os.geteuid() else None
