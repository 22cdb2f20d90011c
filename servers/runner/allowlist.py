"""The allow-list: a TOML file that says what may be run, how, and by whom.

::

    [commands.ping]
    program = "/usr/bin/ping"
    arguments = ["-c", "{count}", "--", "{host}"]
    callers = ["cn:alice", "uid:1000"]

    [commands.ping.parameters]
    count = { type = "int", min = 1, max = 10, default = 3 }
    host = { pattern = "[a-z0-9.-]{1,253}" }

Everything else is in docs/runner.md. What is not understood is an error, never ignored: a
key with a slip in it would be a bound that does not hold.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from netkit.servers.runner import surroundings
from netkit.servers.runner.callers import Caller, caller_name
from netkit.servers.runner.parameters import LONGEST, Choice, Int, Kind, Parameter, Pattern, Within
from netkit.servers.runner.refusals import RefusedError
from netkit.servers.runner.tables import Table, finite, read
from netkit.servers.runner.templates import Template
from netkit.subprocesses.command import Surroundings
from netkit.subprocesses.job import Bounds

TIMEOUT, GRACE = 60.0, 5.0
"""Seconds that a job may take, and from TERM to KILL then, unless the list says otherwise."""

OUTPUT = 16 * 1024 * 1024
"""Bytes that a job may write, unless the list says otherwise."""

LARGEST_ARGUMENT = 128 * 1024 - 1
"""Bytes of one word that Linux takes: MAX_ARG_STRLEN."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KINDS = ("type", "pattern", "choice", "root")


@dataclass(frozen=True)
class Permission:
    """One command of the list."""

    name: str
    program: str
    words: tuple[Template, ...]
    parameters: tuple[Parameter, ...]
    """In the order of the list, which is that of arguments without a name."""
    callers: frozenset[str]
    bounds: Bounds
    surroundings: Surroundings
    output: int
    """Bytes that it may write; then it is ended."""
    concurrency: int | None
    """How many of it may run at a time."""
    stdin: bool
    detach: bool
    terminal: bool

    @property
    def looks(self) -> bool:
        """Whether filling in its words looks at the file system, which may take its time."""
        return any(isinstance(each.kind, Within) for each in self.parameters)

    def filled(self, arguments: Sequence[str], named: Mapping[str, str]) -> tuple[str, ...]:
        """The words of the program with a caller's values. Raises `RefusedError`."""
        if len(arguments) > len(self.parameters):
            raise RefusedError(
                "argument", f"{len(arguments)} arguments, {len(self.parameters)} are taken"
            )
        given = {each.name: value for each, value in zip(self.parameters, arguments, strict=False)}
        known = {each.name for each in self.parameters}
        for name, value in named.items():
            if name not in known:
                raise RefusedError("argument", f"{name[:40]!r} is no parameter of this command")
            if name in given:
                raise RefusedError("argument", f"{name} is given twice")
            given[name] = value
        values = {each.name: each.value(given.get(each.name)) for each in self.parameters}
        return (self.program, *(each.fill(values) for each in self.words))


class AllowList:
    """What may be run; immutable, so that a job is judged by one list from end to end."""

    def __init__(self, commands: Mapping[str, Permission]) -> None:
        self._commands = commands

    def __len__(self) -> int:
        return len(self._commands)

    def permission(self, name: str, caller: Caller) -> Permission:
        """The command of this name, for this caller.

        Raises `RefusedError`, the same one whether there is no such command or it is for others.
        """
        found = self._commands.get(name)
        if found is None or not caller.is_among(found.callers):
            raise RefusedError("denied", f"{name[:64]!r} is no command, or it is not for you")
        return found

    def open_to(self, caller: Caller) -> list[Permission]:
        """What a caller may run."""
        return [each for each in self._commands.values() if caller.is_among(each.callers)]


def load(path: Path) -> AllowList:
    """Read and check a list. Raises `UsageError`, which names file, line and key."""
    top = read(path)
    commands = {name: _permission(name, table) for name, table in top.tables("commands")}
    top.finish()
    return AllowList(commands)


def _permission(name: str, table: Table) -> Permission:
    if not _NAME.fullmatch(name):
        raise table.wrong("", "a name is 1 to 64 of A-Z a-z 0-9 . _ -, a letter or digit first")
    parameters = tuple(_parameter(key, each) for key, each in table.tables("parameters"))
    found = Permission(
        name,
        _program(table),
        _words(table, {each.name for each in parameters}),
        parameters,
        _callers(table),
        Bounds(finite(table.seconds("timeout", TIMEOUT)), table.seconds("grace", GRACE)),
        surroundings.read(table),
        table.whole("output", OUTPUT, 0, 2**63 - 1),
        table.whole("concurrency", 0, 1, 10_000) or None,
        table.flag("stdin"),
        table.flag("detach"),
        table.flag("terminal"),
    )
    table.finish()
    return found


def _program(table: Table) -> str:
    program = table.text("program")
    if not program.startswith("/"):
        raise table.wrong("program", f"{program!r} is no absolute path; nothing is searched for")
    # As text throughout: what is run is what is written.
    if not os.path.isfile(program) or not os.access(program, os.X_OK):  # noqa: PTH113
        raise table.wrong("program", f"{program} is no program that we may execute")
    return program


def _words(table: Table, known: set[str]) -> tuple[Template, ...]:
    try:
        words = tuple(Template.parse(word) for word in table.texts("arguments") or ())
    except ValueError as error:
        raise table.wrong("arguments", str(error)) from None
    named = {name for word in words for name in word.names}
    for name in sorted(named - known):
        raise table.wrong("arguments", f"{{{name}}} is no parameter; add it to parameters")
    for name in sorted(known - named):
        raise table.wrong("parameters", f"{name} stands nowhere in arguments; write {{{name}}}")
    return words


def _callers(table: Table) -> frozenset[str]:
    callers = table.texts("callers")
    if not callers:
        raise table.wrong("callers", 'name who may call it, like ["cn:alice"]')
    try:
        return frozenset(caller_name(each) for each in callers)
    except ValueError as error:
        raise table.wrong("callers", str(error)) from None


def _parameter(name: str, table: Table) -> Parameter:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name):
        raise table.wrong("", "a parameter's name is made of letters, digits, _ and -")
    kind = _kind(table)
    whole = table.holds("default", int)
    default = str(table.take("default", int)) if whole else table.take("default", str)
    dash = table.flag("dash")
    longest = table.whole("longest", LONGEST, 1, LARGEST_ARGUMENT)
    table.finish()
    if isinstance(kind, Int) and kind.least < 0 and not dash:
        raise table.wrong("min", "a value below 0 begins with '-'; add dash = true")
    if default is not None and not isinstance(kind, Within) and kind.accept(default) is None:
        raise table.wrong("default", f"{default!r} may not be given itself; give {kind}")
    return Parameter(name, kind, default, dash, longest)


def _kind(table: Table) -> Kind:
    which = [key for key in _KINDS if table.has(key)]
    if len(which) != 1:
        raise table.wrong("", 'give one of type = "int", pattern, choice, root')
    if which == ["pattern"]:
        return _pattern(table)
    if which == ["choice"]:
        choices = table.texts("choice")
        if not choices:
            raise table.wrong("choice", "is empty")
        return Choice(choices)
    if which == ["root"]:
        root = Path(table.text("root"))
        if not root.is_absolute() or root == Path("/"):
            raise table.wrong("root", f"{root}: give an absolute path, and not / itself")
        return Within(root)
    if table.text("type") != "int":
        raise table.wrong("type", 'only "int" is known; for others give pattern, choice or root')
    least = table.whole("min", 0, -(10**18) + 1, 10**18 - 1)
    most = table.whole("max", 10**18 - 1, -(10**18) + 1, 10**18 - 1)
    if least > most:
        raise table.wrong("min", f"{least} is more than max = {most}")
    return Int(least, most)


def _pattern(table: Table) -> Pattern:
    text = table.text("pattern")
    try:
        # ASCII: \d and \w would be digits and letters of every script.
        return Pattern(re.compile(text, re.ASCII))
    except (re.error, RecursionError, OverflowError) as error:
        raise table.wrong("pattern", f"{text!r} does not compile: {error}") from None
