"""Tables of a TOML file, read strictly: what is not understood is an error with file and line."""

from __future__ import annotations

import difflib
import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from netkit.errors import UsageError

T = TypeVar("T")

LARGEST = 1024 * 1024
"""Bytes of a file: far more than any list of commands needs."""

_WORDS = {
    str: "text in quotes", int: "a whole number", float: "a number", bool: "true or false",
    list: "a list", dict: "a table",
}  # fmt: skip
_HEADER = re.compile(r"\s*\[([^\[\]]+)\]\s*(#.*)?$")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\"'-]+)\s*=")


class Table:
    """One table of a file; each `take…` takes a key out, and `finish` finds what is left."""

    def __init__(self, path: Path, text: str, name: str, values: Mapping[str, Any]) -> None:
        self._path, self._text, self._name = path, text, name
        self._values = dict(values)
        self._known: list[str] = []

    def wrong(self, key: str, why: str) -> UsageError:
        """The error that says what is wrong with a key, and where."""
        name = f"{self._name}.{key}" if self._name and key else self._name or key
        return UsageError(f"{self._path}{_line(self._text, self._name, key)}: {name}: {why}")

    def has(self, key: str) -> bool:
        """Whether a key is there and not taken yet."""
        return key in self._values

    def holds(self, key: str, kind: type) -> bool:
        """Whether a key is there with a value of this kind."""
        return type(self._values.get(key)) is kind

    def take(self, key: str, kind: type[T]) -> T | None:
        """The value of a key; None if it is not there. Raises `UsageError`."""
        self._known.append(key)
        if key not in self._values:
            return None
        value: Any = self._values.pop(key)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            given = _WORDS.get(type(value), "a date")
            raise self.wrong(key, f"give {_WORDS[kind]}, not {given}")
        if "\0" in str(value):
            raise self.wrong(key, "holds a NUL character; take it out")
        found: T = value
        return found

    def text(self, key: str) -> str:
        """A text that must be there and not be empty."""
        value = self.take(key, str)
        if not value:
            raise self.wrong(key, "is missing" if value is None else "is empty")
        return value

    def whole(self, key: str, default: int, least: int, most: int) -> int:
        """A whole number within bounds."""
        value = self.take(key, int)
        if value is not None and not least <= value <= most:
            raise self.wrong(key, f"is {value}; give {least} to {most}")
        return default if value is None else value

    def seconds(self, key: str, default: float) -> float:
        """Seconds, more than 0; ``inf`` is allowed."""
        value = self.take(key, float)
        if value is not None and not value > 0:  # so that nan fails too
            raise self.wrong(key, f"is {value:g}; give more than 0 seconds")
        return default if value is None else value

    def flag(self, key: str) -> bool:
        """True or false; false where nothing is said."""
        return self.take(key, bool) or False

    def texts(self, key: str) -> tuple[str, ...] | None:
        """A list of texts."""
        values = self.take(key, list)
        if values is None:
            return None
        if not all(isinstance(each, str) for each in values):
            raise self.wrong(key, 'give a list of texts in quotes, like ["-c", "{count}"]')
        if any("\0" in each for each in values):
            raise self.wrong(key, "holds a NUL character; take it out")
        return tuple(values)

    def pairs(self, key: str, kind: type[T]) -> dict[str, T]:
        """A table of names with values of one kind."""
        values = self.take(key, dict) or {}
        for name, value in values.items():
            if type(value) is not kind:
                raise self.wrong(key, f"{name}: give {_WORDS[kind]}")
            if isinstance(value, str) and "\0" in value:
                raise self.wrong(key, f"{name}: holds a NUL character; take it out")
        return values

    def tables(self, key: str) -> Iterator[tuple[str, Table]]:
        """The tables inside a table, in the order in which they stand there."""
        for name, values in (self.take(key, dict) or {}).items():
            inner = f"{self._name}.{key}.{name}" if self._name else f"{key}.{name}"
            if not isinstance(values, dict):
                raise self.wrong(key, f"{name}: give a table, [{inner}]")
            yield name, Table(self._path, self._text, inner, values)

    def table(self, key: str) -> Table:
        """A table inside; an empty one if it is not there."""
        values = self.take(key, dict) or {}
        inner = f"{self._name}.{key}" if self._name else key
        return Table(self._path, self._text, inner, values)

    def finish(self) -> None:
        """Raise `UsageError` for a key that nobody has asked for."""
        for key in self._values:
            near = difflib.get_close_matches(key, self._known, 1)
            mend = f"did you mean {near[0]}?" if near else f"known: {', '.join(self._known)}"
            raise self.wrong(key, f"unknown key; {mend}")


def read(path: Path) -> Table:
    """Read a file of which others depend on us: nobody but its owner may have written it.

    As sshd does with its files (StrictModes). Raises `UsageError`.
    """
    try:
        with open(path, "rb", opener=_opened) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UsageError(f"{path}: no regular file; give the path of a TOML file")
            if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise UsageError(f"{path}: others may write it, so they say what runs; chmod go-w")
            if status.st_uid not in (0, os.geteuid()):
                raise UsageError(f"{path}: belongs to user {status.st_uid}; chown it to us or root")
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; give the path of a TOML file") from None
    if len(content) > LARGEST:
        raise UsageError(f"{path}: larger than {LARGEST} bytes; give the path of a TOML file")
    return _parsed(path, content)


def _opened(path: str, flags: int) -> int:
    # A FIFO would hold us up until somebody writes into it.
    return os.open(path, flags | os.O_NONBLOCK)


def _parsed(path: Path, content: bytes) -> Table:
    try:
        text = content.decode("utf-8-sig")
        return Table(path, text, "", tomllib.loads(text))
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: byte {error.start} is not UTF-8; save it as UTF-8") from None
    except RecursionError:
        raise UsageError(f"{path}: lists within lists, too deep") from None
    except ValueError as error:  # TOMLDecodeError, or a number of thousands of digits
        raise UsageError(f"{path}: not TOML: {error}; mend it there") from None


def finite(value: float) -> float | None:
    """A number of seconds as a bound; None for ``inf``, which is none."""
    return value if isfinite(value) else None


def _line(text: str, table: str, key: str) -> str:
    """``, line 7`` where a key of a table stands, or the table's header; empty if it is not found.

    By its looks, since the standard library's parser keeps no positions.
    """
    current, header = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if match := _HEADER.match(line):
            current = match[1].strip().replace('"', "").replace(" ", "")
            header = number if current == table else header
            if key and current == f"{table}.{key}".lstrip("."):
                return f", line {number}"
        elif key and current == table:
            match = _KEY.match(line)
            if match and key in (match[1].strip("\"'"), match[1].partition(".")[0]):
                return f", line {number}"
    return f", line {header}" if header else ""
