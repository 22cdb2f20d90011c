"""Values from words, files and standard input, as rows of a table each: read as needed."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from netkit.clients.run.words import STDIN, File, Source, Words
from netkit.errors import UsageError

LONGEST = 1 << 20
"""Bytes of one value as it is read; Linux gives no program a word of more than 128 KiB."""
CHUNK = 1 << 16
BLANK = " \t\r\n\f\v"

Row: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """How values are found in what is read, and columns in values."""

    end: bytes = b"\n"
    """Ends each value of a file."""
    columns: re.Pattern[str] | None = None
    """Separates the columns of a value."""
    csv: str = ""
    """Or they are CSV (RFC 4180) with this delimiter."""
    header: bool = False
    """The first row of each source names its columns."""
    blanks: bool = True
    """Whether a value that is white space is one."""


@dataclass(frozen=True, slots=True)
class Table:
    """One source, opened: rows, which can be taken once."""

    names: Row
    """Of its columns, if it has a header."""
    rows: Iterator[Row]


def opened(source: Source, reading: Reading) -> Table:
    """A source, of which the header has been read if it has one; that may wait for input.

    Its file is open from the first row to the last. Raises `UsageError` for what cannot be
    read, here and while rows are taken.
    """
    if isinstance(source, Words):
        name, found = ":::", iter(source.values)
    else:
        name = "standard input" if source.path == STDIN else source.path
        found = _from_file(source, name, reading.end)
    if not reading.blanks:
        found = (value for value in found if value.strip(BLANK))
    rows = _rows(found, name, reading)
    if not reading.header:
        return Table((), rows)
    names = next(rows, ())
    return Table(names, (row + ("",) * (len(names) - len(row)) for row in rows))


def values(read: Callable[[int], bytes | None], end: bytes, name: str) -> Iterator[str]:
    """What stands before each `end`, and behind the last one if there is something.

    `read` gives what there is, at most so many bytes, and nothing at the end.
    """
    rest = b""
    number = 0
    while chunk := read(CHUNK):
        *whole, rest = (rest + chunk).split(end)
        for value in whole:
            number += 1
            yield _text(value, number, name)
        if len(rest) > LONGEST:
            raise UsageError(
                f"{name}, argument {number + 1}: longer than {LONGEST:,} bytes, "
                "which no program can get; -0 and -d say what ends an argument"
            )
    if rest:
        yield _text(rest, number + 1, name)


def _text(value: bytes, number: int, name: str) -> str:
    if b"\0" in value:
        raise UsageError(
            f"{name}, argument {number}: holds a NUL, which no program can get; "
            "if NUL ends each argument, give -0"
        )
    return os.fsdecode(value)  # bytes that are no UTF-8 stay what they are (PEP 383)


def _from_file(source: File, name: str, end: bytes) -> Iterator[str]:
    path: str | int = 0 if source.path == STDIN else source.path
    try:
        # Unbuffered: a read gives what there is, so that a line is used once it is written.
        with open(path, "rb", buffering=0, closefd=path != 0) as file:
            yield from values(file.read, end, name)
    except OSError as error:
        raise UsageError(f"{name}: cannot be read: {error.strerror}") from None


def _rows(found: Iterable[str], name: str, reading: Reading) -> Iterator[Row]:
    if reading.csv:
        return _from_csv(found, reading.csv, name)
    if pattern := reading.columns:
        return (tuple((cell or "").strip(BLANK) for cell in pattern.split(v)) for v in found)
    return ((value,) for value in found)


def _from_csv(found: Iterable[str], delimiter: str, name: str) -> Iterator[Row]:
    # The newline again, since a quoted cell may have one.
    reader = csv.reader((value + "\n" for value in found), delimiter=delimiter)
    try:
        for cells in reader:
            yield tuple(cells) or ("",)
    except csv.Error as error:
        raise UsageError(f"{name}, line {reader.line_num}: {error}") from None
