"""Several sources become one: crossed, or taken side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, product

from netkit.clients.run.sources import Reading, Row, Table, opened
from netkit.clients.run.words import STDIN, File, Source
from netkit.errors import UsageError


@dataclass(frozen=True, slots=True)
class Asked:
    """Where arguments come from, and how they are put together."""

    sources: tuple[Source, ...] = (File(STDIN),)
    reading: Reading = field(default_factory=Reading)
    linked: bool = False
    """All side by side; those with fewer values begin again: ``--link``."""
    most: int | None = None
    """Rows for each job; 0: one, of which the job gets nothing."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What each job gets. The first source is read as it is needed, others are held."""

    names: Row
    """Of all columns, if the sources have headers."""
    jobs: Iterator[Row]


def rows(asked: Asked) -> Rows:
    """Open all sources; may wait for input. Raises `UsageError`, and so does taking rows."""
    if sum(isinstance(each, File) and each.path == STDIN for each in asked.sources) > 1:
        raise UsageError("standard input is named twice as a source; it can be read once")
    tables = [opened(source, asked.reading) for source in asked.sources]
    names = tuple(chain.from_iterable(table.names for table in tables))
    taken = [table.rows for table in tables]
    joined = recycled(taken) if asked.linked else crossed(_groups(asked.sources, tables))
    return Rows(names, joined if asked.most is None else gathered(joined, asked.most))


def crossed(groups: Sequence[Iterator[Row]]) -> Iterator[Row]:
    """Each row with each of the others, the last varying fastest."""
    first, *others = groups
    if not others:
        return first
    return _product(first, [list(each) for each in others])


def _product(first: Iterator[Row], others: Sequence[Sequence[Row]]) -> Iterator[Row]:
    for row in first:
        for rest in product(*others):
            yield row + tuple(chain.from_iterable(rest))


def recycled(taken: Sequence[Iterable[Row]]) -> Iterator[Row]:
    """Side by side until the longest ends; each one that has ended begins again."""
    held = [list(each) for each in taken]
    if all(held):
        for number in range(max(map(len, held))):
            yield tuple(chain.from_iterable(each[number % len(each)] for each in held))


def gathered(single: Iterator[Row], most: int) -> Iterator[Row]:
    """So many rows as one; with 0 each is an empty one."""
    if not most:
        yield from (() for _ in single)
        return
    while several := list(islice(single, most)):
        yield tuple(chain.from_iterable(several))


def _groups(sources: Sequence[Source], tables: Sequence[Table]) -> list[Iterator[Row]]:
    """Those that are linked side by side; the shortest ends them."""
    groups: list[list[Iterator[Row]]] = []
    for source, table in zip(sources, tables, strict=True):
        if source.linked and groups:
            groups[-1].append(table.rows)
        else:
            groups.append([table.rows])
    return [_side_by_side(group) if len(group) > 1 else group[0] for group in groups]


def _side_by_side(group: Sequence[Iterator[Row]]) -> Iterator[Row]:
    return (tuple(chain.from_iterable(each)) for each in zip(*group, strict=False))
