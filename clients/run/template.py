"""A command with replacement strings becomes the words of one, for each row of arguments.

============================ =====================================================
``{}``                       all arguments; several become several words
``{1}`` ``{-1}`` ``{name}``  one of them, by its place or the name of its column
``{.}``                      without extension
``{/}`` ``{//}`` ``{/.}``    basename, dirname, basename without extension
``{1.}`` ``{name/}`` …       the same of one of them
``{#}`` ``{%}``              the number of the job, and of the slot that it runs in
============================ =====================================================

Without a shell a value stays one word whatever is in it. For a shell the template is the
user's text and each value is quoted. What stands in other braces is left as it is.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol, TypeAlias

from netkit.clients.run.sources import Row
from netkit.errors import UsageError

SHELL = "/bin/sh"

_BRACES = re.compile(r"\{([^{}]*?)(//|/\.|/|\.|)\}")
_PLACE = re.compile(r"-?[1-9]\d*")
_NAME = re.compile(r"[^\W\d]\w*")
_PIECES = re.compile(r"(?:\{[^{}]*\}|\S)+|\s+")


def without_extension(value: str) -> str:
    """``a/b.c`` is ``a/b``; a name that is only an extension has none left."""
    return re.sub(r"\.[^/.]*\Z", "", value)


def basename(value: str) -> str:
    """What stands behind the last slash."""
    return value.rpartition("/")[2]


def dirname(value: str) -> str:
    """What stands before the last slash, as dirname(1) has it."""
    path = value.rstrip("/")
    if not path:
        return "/" if value else "."
    head, slash, _ = path.rpartition("/")
    return (head.rstrip("/") or "/") if slash else "."


OPERATIONS: dict[str, Callable[[str], str]] = {
    "": lambda value: value,
    ".": without_extension,
    "/": basename,
    "//": dirname,
    "/.": lambda value: without_extension(basename(value)),
}


@dataclass(frozen=True, slots=True)
class Argument:
    """A place for one argument, counted from 1 or from the end by -1; None: for all."""

    place: int | None
    operation: Callable[[str], str]

    def values(self, row: Row) -> list[str]:
        """What comes in its place; nothing if the row is too short."""
        if self.place is None:
            return [self.operation(value) for value in row]
        at = self.place - 1 if self.place > 0 else len(row) + self.place
        return [self.operation(row[at])] if 0 <= at < len(row) else []


@dataclass(frozen=True, slots=True)
class Counter:
    """A place for the number of the job, or of its slot."""

    of_slot: bool


Part: TypeAlias = str | Argument | Counter


class Template(Protocol):
    """Makes a command's words."""

    numbers_slots: bool
    """Whether it is of interest which slot a job runs in."""

    def words(self, row: Row, number: int, slot: int) -> tuple[str, ...]:
        """The words for a row of arguments. Raises `UsageError`."""

    def line(self, words: Sequence[str]) -> str:
        """These words as a person would type them."""


def template(
    command: Sequence[str],
    *,
    names: Row | None = None,
    shell: bool = False,
    repeated: bool = False,
) -> Template:
    """Read the command. `names` are those of the columns, None if there is no header.

    With `repeated` a word that holds ``{}`` comes once for each argument: ``x{}y`` is
    ``xay xby``, else ``xa by``. Raises `UsageError`.
    """
    if not command:
        return Lines(shell)
    text = " ".join(command)
    pieces = command if not shell else _PIECES.findall(text) if repeated else [text]
    parts: list[list[Part]] = [_parts(piece, names) for piece in pieces]
    if all(isinstance(part, str) for piece in parts for part in piece):
        every = Argument(None, OPERATIONS[""])
        parts += [[" "], [every]] if shell else [[every]]
    return (ForShell if shell else Plain)(parts, repeated)


def filled(texts: Sequence[str], names: Row | None = None) -> Plain:
    """Texts of which each is a word with replacement strings, and nothing is appended."""
    return Plain([_parts(text, names) for text in texts], repeated=False)


class Plain:
    """A command that no shell sees."""

    def __init__(self, pieces: Sequence[Sequence[Part]], repeated: bool) -> None:
        self._pieces, self._repeated = pieces, repeated
        self.numbers_slots = any(
            isinstance(part, Counter) and part.of_slot for piece in pieces for part in piece
        )

    def words(self, row: Row, number: int, slot: int) -> tuple[str, ...]:
        """See `Template`."""
        return tuple(chain.from_iterable(self._filled(row, number, slot)))

    def line(self, words: Sequence[str]) -> str:
        """See `Template`."""
        return shlex.join(words)

    def _filled(self, row: Row, number: int, slot: int) -> Iterator[list[str]]:
        """The words that each piece becomes."""
        for piece in self._pieces:
            if self._repeated and len(row) > 1 and _takes_all(piece):
                each = (self._words(piece, row, (value,), number, slot) for value in row)
                yield list(chain.from_iterable(each))
            else:
                yield self._words(piece, row, row, number, slot)

    def _words(
        self, piece: Sequence[Part], row: Row, every: Row, number: int, slot: int
    ) -> list[str]:
        """None if there is nothing in it; one, or more where several values are."""
        words: list[str] = []
        for part in piece:
            if isinstance(part, str):
                found = [part]
            elif isinstance(part, Counter):
                found = [str(slot if part.of_slot else number)]
            else:
                values = part.values(every if part.place is None else row)
                found = [self._quoted(value) for value in values]
                if part.place is not None:
                    found = found or [""]  # so that what stands behind it keeps its place
            if words and found:
                words[-1] += found[0]
                words += found[1:]
            else:
                words += found
        return words

    def _quoted(self, value: str) -> str:
        return value


class ForShell(Plain):
    """A shell's text, in which values are quoted."""

    def words(self, row: Row, number: int, slot: int) -> tuple[str, ...]:
        """See `Template`."""
        return (SHELL, "-c", "".join(" ".join(each) for each in self._filled(row, number, slot)))

    def line(self, words: Sequence[str]) -> str:
        """See `Template`."""
        return words[-1]

    def _quoted(self, value: str) -> str:
        return shlex.quote(value)


class Lines:
    """No command: each row is one, as one would type it."""

    numbers_slots = False

    def __init__(self, shell: bool) -> None:
        self._shell = shell

    def words(self, row: Row, number: int, slot: int) -> tuple[str, ...]:
        """See `Template`."""
        line = " ".join(row)
        if self._shell:
            return (SHELL, "-c", line)
        try:
            return tuple(shlex.split(line))
        except ValueError as error:
            raise UsageError(f"argument {number}: {line}: {str(error).lower()}") from None

    def line(self, words: Sequence[str]) -> str:
        """See `Template`."""
        return words[-1] if self._shell else shlex.join(words)


def _takes_all(parts: Sequence[Part]) -> bool:
    return any(isinstance(part, Argument) and part.place is None for part in parts)


def _parts(word: str, names: Row | None) -> list[Part]:
    parts: list[Part] = []
    end = 0
    for found in _BRACES.finditer(word):
        part = _replacement(found[1], found[2], names)
        if part is not None:
            parts += [word[end : found.start()], part]
            end = found.end()
    parts.append(word[end:])
    # A word that is empty was meant; beside a replacement an empty rest would make it one.
    return [part for part in parts if part != ""] or [""]


def _replacement(inner: str, operation: str, names: Row | None) -> Part | None:
    if names and inner + operation in names:
        return Argument(names.index(inner + operation) + 1, OPERATIONS[""])
    if names and inner in names:
        return Argument(names.index(inner) + 1, OPERATIONS[operation])
    if not inner:
        return Argument(None, OPERATIONS[operation])
    if inner in ("#", "%") and not operation:
        return Counter(inner == "%")
    if _PLACE.fullmatch(inner):
        return Argument(int(inner), OPERATIONS[operation])
    if names is not None and _NAME.fullmatch(inner):
        raise UsageError(
            f"{{{inner}{operation}}}: no such column; there are {', '.join(names) or 'none'} "
            f"(if it is none, write {{ {inner} }})"
        )
    return None
