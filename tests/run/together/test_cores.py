"""What decides and formats, without processes."""

from __future__ import annotations

import os
import re

import pytest

from netkit.clients.run.together.prefixes import prefixed, prefixes, wants_colour
from netkit.clients.run.together.readiness import says
from netkit.clients.run.together.settings import Done, Said
from netkit.clients.run.together.verdict import Verdict


@pytest.mark.parametrize(
    ("success", "status"), [("all", 3), ("first", 0), ("last", 4), ("b", 143), ("c", 1)]
)
def test_whose_status_is_ours(success: str, status: int) -> None:
    verdict = Verdict(success)
    verdict.ended("a", 0, by_us=False)
    verdict.ended("x", 3, by_us=False)
    verdict.ended("y", 4, by_us=False)
    verdict.ended("b", 143, by_us=True)
    assert verdict.status == status


def test_what_we_ended_has_not_failed() -> None:
    for success in ("all", "first", "last"):
        verdict = Verdict(success)
        verdict.ended("a", 0, by_us=False)
        verdict.ended("b", 143, by_us=True)
        assert verdict.status == 0


def test_prefixes_are_aligned() -> None:
    assert prefixes(["a", "web"], "|", colour=False) == [b"a   | ", b"web | "]
    one, two = prefixes(["a", "web"], "|", colour=True)
    assert one == b"\x1b[0;36ma   | \x1b[0m"
    assert two == b"\x1b[0;33mweb | \x1b[0m"
    many = prefixes([str(number) for number in range(10, 21)], "|", colour=True)
    assert len(set(many)) == 11
    assert many[10].startswith(b"\x1b[0;36m")


@pytest.mark.parametrize(
    ("block", "printed"),
    [
        (b"one\n", b"a | one\n"),
        (b"one\ntwo\n", b"a | one\na | two\n"),
        (b"\n\n", b"a | \na | \n"),
        (b"half", b"a | half\n"),
        (b"one\nhalf", b"a | one\na | half\n"),
        (b"\xff\0\r\n", b"a | \xff\0\r\n"),
    ],
)
def test_each_line_has_its_prefix(block: bytes, printed: bytes) -> None:
    assert prefixed(b"a | ", block) == printed


def test_the_line_that_is_waited_for() -> None:
    said = Said(re.compile(b"^on \\d+$"))
    assert says(said, b"off\non 80\r\nmore\n")
    assert not says(said, b"on\n80\n")
    assert not says(None, b"on 80\n")
    assert not says(Done.DONE, b"on 80\n")


def test_colour_is_for_terminals_and_those_who_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    try:
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("NO_COLOR", "1")
        assert not wants_colour(theirs)
        monkeypatch.setenv("NO_COLOR", "")
        assert wants_colour(theirs)
        monkeypatch.setenv("TERM", "dumb")
        assert not wants_colour(theirs)
    finally:
        os.close(ours)
        os.close(theirs)
    assert not wants_colour(None)
