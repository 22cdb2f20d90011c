"""The words of a command line, split where GNU parallel splits them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Words:
    """Values that stand on the command line, after ``:::``."""

    values: tuple[str, ...]
    linked: bool = False
    """Taken along with the source before, not crossed with it: ``:::+``."""


@dataclass(frozen=True, slots=True)
class File:
    """A file with values, after ``::::`` or ``-a``; ``-`` is standard input."""

    path: str
    linked: bool = False


Source: TypeAlias = Words | File

MARKS = {":::": (Words, False), ":::+": (Words, True), "::::": (File, False), "::::+": (File, True)}


def split(words: Sequence[str], files: Sequence[str] = ()) -> tuple[tuple[str, ...], list[Source]]:
    """The command, and the sources of its arguments: first `files`, then those in `words`.

    Without any, standard input is the source.
    """
    sources: list[Source] = [File(path) for path in files]
    marks = [at for at, word in enumerate(words) if word in MARKS]
    for at, end in pairwise([*marks, len(words)]):
        kind, linked = MARKS[words[at]]
        given = words[at + 1 : end]
        if kind is Words:
            sources.append(Words(tuple(given), linked))
        else:
            sources.extend(File(path, linked) for path in given)
    command = words[: marks[0]] if marks else words
    return tuple(command), sources or [File(STDIN)]
