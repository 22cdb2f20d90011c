"""Values from words and files, and their columns."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import pytest

from netkit.clients.run import sources
from netkit.clients.run.sources import LONGEST, Reading, opened, values
from netkit.clients.run.words import File, Words
from netkit.errors import UsageError

COMMA = re.compile(",")


class Chunks:
    """A file that gives what was written to it, write by write."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = list(chunks)

    def read(self, _: int) -> bytes:
        return self.chunks.pop(0) if self.chunks else b""


@pytest.mark.parametrize(
    ("data", "end", "expected"),
    [
        (b"a\nb\n", b"\n", ["a", "b"]),
        (b"a\nb", b"\n", ["a", "b"]),
        (b"a\n\n b \n", b"\n", ["a", "", " b "]),
        (b"", b"\n", []),
        (b"\n", b"\n", [""]),
        (b"a\r\n", b"\n", ["a\r"]),
        (b"a\nb\0\0", b"\0", ["a\nb", ""]),
        (b"aXXbXXc\n", b"XX", ["a", "b", "c\n"]),
        ("ü\n".encode(), b"\n", ["ü"]),
        (b"\xff\xc3\n", b"\n", ["\udcff\udcc3"]),
    ],
)
def test_values(data: bytes, end: bytes, expected: list[str]) -> None:
    assert list(values(io.BytesIO(data).read, end, "f")) == expected
    pieces = [data[at : at + 1] for at in range(len(data))]
    assert list(values(Chunks(*pieces).read, end, "f")) == expected


def test_a_value_is_given_before_the_next_is_read() -> None:
    file = Chunks(b"a\nb", b"c\n")
    found = values(file.read, b"\n", "f")
    assert next(found) == "a"
    assert file.chunks == [b"c\n"]
    assert next(found) == "bc"


def test_a_nul_is_refused_in_one_line() -> None:
    found = values(io.BytesIO(b"a\nb\0c\nd\n").read, b"\n", "list")
    assert next(found) == "a"
    with pytest.raises(UsageError, match=r"^list, argument 2: holds a NUL.* give -0$"):
        next(found)


def test_what_never_ends_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(UsageError, match="argument 1: longer than 1,048,576 bytes"):
        list(values(Chunks(*[b"x" * 65536] * (LONGEST // 65536 + 1)).read, b"\n", "f"))


def rows(reading: Reading, *given: str) -> list[tuple[str, ...]]:
    return list(opened(Words(given), reading).rows)


def test_without_columns_a_value_is_a_row() -> None:
    assert rows(Reading(), "a,b", " c ", "") == [("a,b",), (" c ",), ("",)]


def test_columns_are_trimmed_and_those_at_the_end_kept() -> None:
    assert rows(Reading(columns=COMMA), "a, b ,", "c", "") == [("a", "b", ""), ("c",), ("",)]
    assert rows(Reading(columns=re.compile(r"\s+|;")), "a  b;c") == [("a", "b", "c")]


def test_csv_has_quotes_doubled_quotes_and_newlines() -> None:
    reading = Reading(csv=",")
    assert rows(reading, '"a, b",c', 'x,"y""z"', "", " p , q ") == [
        ("a, b", "c"),
        ("x", 'y"z'),
        ("",),
        (" p ", " q "),
    ]
    assert rows(reading, '"one', 'two",3') == [("one\ntwo", "3")]
    assert rows(Reading(csv=";"), '"a;b";c') == [("a;b", "c")]


def test_csv_of_another_kind_names_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"^:::, line 2: field larger than field limit"):
        rows(Reading(csv=","), "a", "b" * 200_000)


def test_a_header_names_columns_and_short_rows_are_filled_up() -> None:
    table = opened(Words(("a,b", "1", "2,3", "4,5,6")), Reading(columns=COMMA, header=True))
    assert table.names == ("a", "b")
    assert list(table.rows) == [("1", ""), ("2", "3"), ("4", "5", "6")]
    assert opened(Words(()), Reading(header=True)).names == ()


def test_blanks_are_left_out_if_asked() -> None:
    assert rows(Reading(blanks=False), "", " \t", "a") == [("a",)]


def test_a_file_is_closed_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_bytes(b"a\nb\n")
    assert list(opened(File(str(path)), Reading()).rows) == [("a",), ("b",)]
    table = opened(File(str(path)), Reading())
    assert next(table.rows) == ("a",)  # and one that is left half-read, when it is forgotten


def test_a_file_that_is_read_as_it_is_written() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb", buffering=0) as pipe:
        table = opened(File(f"/dev/fd/{reading}"), Reading())
        pipe.write(b"first\n")
        assert next(table.rows) == ("first",)
        pipe.write(b"second\n")
        assert next(table.rows) == ("second",)
    os.close(reading)
    assert list(table.rows) == []


@pytest.mark.parametrize(
    ("path", "why"), [("nosuch", "No such file or directory"), (".", "Is a directory")]
)
def test_a_file_that_cannot_be_read_is_one_line(
    path: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=f"^{re.escape(path)}: cannot be read: {why}$"):
        list(opened(File(path), Reading()).rows)


def test_blank_is_what_perl_has() -> None:
    assert not sources.BLANK.strip()
