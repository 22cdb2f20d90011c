"""Settings from what stands on the command line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from netkit.addresses import parse
from netkit.clients.run.together import procfile
from netkit.clients.run.together.settings import (
    Done,
    Entry,
    Kill,
    Listening,
    Ready,
    Restarting,
    Said,
    Settings,
)
from netkit.clients.run.together.words import SHELL, split
from netkit.errors import UsageError

POLICIES = ("first", "last", "all")


def asked(
    commands: Sequence[str] = (),
    *,
    file: Path | None = None,
    names: str | None = None,
    shell: bool = False,
    env_file: Path | None = None,
    kill_others: bool = False,
    kill_others_on_fail: bool = False,
    restart: str = "0",
    ready: Sequence[str] = (),
    ready_timeout: float = 60.0,
    success: str = "all",
    grace: float = 5.0,
    colour: bool | None = None,
    quiet: bool = False,
) -> Settings:
    """Read the flags of the same names, as the command line has them.

    `commands` are lines, each a command; beside a Procfile (`file`) the names of those of
    it that are to run. Times are in seconds. Raises `UsageError`, which names the flag, or
    file and line.
    """
    for flag, seconds in (("--ready-timeout", ready_timeout), ("--grace", grace)):
        if not 0 < seconds < float("inf"):
            raise UsageError(f"{flag} {seconds:g}: give seconds above 0")
    for line in commands:
        if line.startswith("-"):
            raise UsageError(f"{line}: flags stand before the first command; put it there")
    if file is None:
        entries = _quoted(commands, names, shell)
    elif names is not None:
        raise UsageError(f"--names: the names stand in {file}; leave --names out")
    else:
        entries = _chosen(procfile.entries(file, shell=shell), commands, file)
    entries = _with_readiness(entries, ready)
    if success not in POLICIES:
        _known(success, entries, "--success", "first, last, all or a name")
    return Settings(
        entries,
        None if file is None else file.parent,
        _environment(env_file),
        Kill.ON_END if kill_others else Kill.ON_FAILURE if kill_others_on_fail else Kill.NEVER,
        _restarting(restart),
        ready_timeout,
        success,
        grace,
        colour,
        quiet,
    )


def _quoted(commands: Sequence[str], names: str | None, shell: bool) -> tuple[Entry, ...]:
    """Each command with a name: given with it, by `names`, or its program's."""
    if not commands:
        raise UsageError("no command is given; write one like 'make watch', or give -f Procfile")
    lines, given = list(commands), [""] * len(commands)
    for index, line in enumerate(commands):
        if match := procfile.NAMED.fullmatch(line.strip()):
            given[index], lines[index] = match[1], match[2] or ""
    if names is not None:
        listed = [name.strip() for name in names.split(",")]
        if len(listed) != len(commands):
            raise UsageError(
                f"--names {names}: {len(listed)} for {len(commands)} commands; give one for each"
            )
        given = [name or own for name, own in zip(listed, given, strict=True)]
    entries: dict[str, Entry] = {}
    for line, name in zip(lines, given, strict=True):
        words = split(line, shell=shell, where=name or repr(line))
        chosen = name or _unused(_program(words), {*entries, *given})
        if not procfile.NAME.fullmatch(chosen):
            raise UsageError(f"--names {name}: letters, digits and _ - . make a name")
        if chosen in entries:
            raise UsageError(f"{name}: two commands have that name; give each one of its own")
        entries[chosen] = Entry(chosen, words)
    return tuple(entries.values())


def _program(words: tuple[str, ...]) -> str:
    """A name from the program's: its last part, without what makes no name."""
    first = (words[-1].split() if words[:2] == SHELL else words)[0]
    name = re.sub(r"[^A-Za-z0-9_.-]", "", first.rsplit("/", 1)[-1]).lstrip(".-")
    return name[:32] or "command"


def _unused(name: str, used: set[str]) -> str:
    number, unused = 1, name
    while unused in used:
        number += 1
        unused = f"{name}-{number}"
    return unused


def _chosen(entries: tuple[Entry, ...], names: Sequence[str], file: Path) -> tuple[Entry, ...]:
    """Those of the Procfile that were named, in its order; all if none was."""
    for name in names:
        _known(name, entries, f"-f {file}", "names of its commands")
    return tuple(entry for entry in entries if not names or entry.name in names)


def _with_readiness(entries: tuple[Entry, ...], texts: Sequence[str]) -> tuple[Entry, ...]:
    ready: dict[str, Ready] = {}
    for text in texts:
        name, equals, condition = text.partition("=")
        if not equals:
            raise UsageError(f"--ready {text}: write it like web=tcp:127.0.0.1:8000")
        _known(name, entries, "--ready", "NAME=")
        if name in ready:
            raise UsageError(f"--ready {text}: {name} has one already; give one for each")
        ready[name] = _ready(name, condition, text)
    return tuple(replace(entry, ready=ready.get(entry.name)) for entry in entries)


def _ready(name: str, condition: str, text: str) -> Ready:
    kind, _, rest = condition.partition(":")
    if kind == "line" and rest:
        try:
            return Said(re.compile(rest.encode()))
        except re.error as error:
            raise UsageError(f"--ready {text}: {error}; mend the expression") from None
    if condition == "exit":
        return Done.DONE
    if kind in ("tcp", "unix") and rest:
        bare = rest if kind == "tcp" and not rest.startswith("//") else condition
        address = parse(bare, flag=f"--ready {name}=")
        if address.scheme == kind and (address.path or address.port):
            return Listening(address)
    raise UsageError(
        f"--ready {text}: write it like web=tcp:127.0.0.1:8000, web=unix:/run/web.sock, "
        "'web=line:listening on' or migrate=exit"
    )


def _known(name: str, entries: tuple[Entry, ...], flag: str, wanted: str) -> None:
    names = [entry.name for entry in entries]
    if name not in names:
        raise UsageError(f"{flag} {name}: give {wanted}; there are {', '.join(names)}")


def _restarting(text: str) -> Restarting:
    if text == "always":
        return Restarting(None)
    if not re.fullmatch(r"[0-9]{1,6}", text):
        raise UsageError(f"--restart {text}: give a number, or always")
    return Restarting(int(text))


def _environment(file: Path | None) -> Mapping[str, str] | None:
    return None if file is None else {**os.environ, **procfile.variables(file)}
