"""Sources crossed and linked. The examples are those of parallel(1)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import pytest

from netkit.clients.run.rows import Asked, crossed, rows
from netkit.clients.run.sources import Reading, Row
from netkit.clients.run.words import STDIN, File, split
from netkit.errors import UsageError


def joined(line: str, **asked: object) -> list[str]:
    _, sources = split(line.split())
    return [" ".join(row) for row in rows(Asked(tuple(sources), **asked)).jobs]  # type: ignore[arg-type]  # a test's


def test_all_combinations_the_last_varies_fastest() -> None:
    assert joined("::: 6 7 ::: 4 5 ::: 1 2") == [
        "6 4 1", "6 4 2", "6 5 1", "6 5 2", "7 4 1", "7 4 2", "7 5 1", "7 5 2",
    ]  # fmt: skip


def test_the_shortest_ends_those_that_are_linked() -> None:
    assert joined("::: a b c :::+ 1 2") == ["a 1", "b 2"]
    assert joined("::: a b :::+ c d :::+ e f ::: x") == ["a c e x", "b d f x"]
    assert joined("::: a b c :::+ 1 2 3 ::: X Y :::+ 11 22") == [
        "a 1 X 11", "a 1 Y 22", "b 2 X 11", "b 2 Y 22", "c 3 X 11", "c 3 Y 22",
    ]  # fmt: skip


def test_with_link_the_shorter_ones_begin_again() -> None:
    assert joined("::: 1 2 ::: I II III ::: a b c d", linked=True) == [
        "1 I a", "2 II b", "1 III c", "2 I d",
    ]  # fmt: skip
    assert joined("::: 1 2 :::", linked=True) == []


def test_no_values_of_one_is_none_at_all() -> None:
    assert joined("::: a b :::") == []
    assert joined("::: ::: a b") == []


def test_so_many_rows_for_each_job() -> None:
    assert joined("::: a b c", most=2) == ["a b", "c"]
    assert joined("::: a b ::: x y", most=3) == ["a x a y b x", "b y"]
    assert joined("::: a b c", most=0) == ["", "", ""]
    assert joined("::: a b c", most=1) == ["a", "b", "c"]


def test_names_of_all_sources_and_rows_filled_up() -> None:
    _, sources = split([":::", "a,b", "1", "2,3", ":::", "c", "5"])
    found = rows(Asked(tuple(sources), Reading(columns=re.compile(","), header=True)))
    assert found.names == ("a", "b", "c")
    assert list(found.jobs) == [("1", "", "5"), ("2", "3", "5")]


def test_the_first_source_is_read_as_it_is_needed() -> None:
    def endless() -> Iterator[Row]:
        return ((str(number),) for number in itertools.count())

    assert next(crossed([endless()])) == ("0",)
    found = crossed([endless(), iter([("a",), ("b",)])])
    assert list(itertools.islice(found, 3)) == [("0", "a"), ("0", "b"), ("1", "a")]


def test_standard_input_twice_is_one_line() -> None:
    with pytest.raises(UsageError, match="standard input is named twice"):
        rows(Asked((File(STDIN), File(STDIN))))
