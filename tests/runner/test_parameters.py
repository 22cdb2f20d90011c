"""Values of callers: what becomes part of a program's words, and what is refused."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.servers.runner.parameters import Choice, Int, Kind, Parameter, Pattern, Within
from netkit.servers.runner.refusals import RefusedError
from netkit.servers.runner.templates import Template


def value(kind: Kind, given: str | None, **how: bool | int | str) -> str:
    return Parameter("p", kind, **how).value(given)  # type: ignore[arg-type]  # of three kinds


def anything() -> Pattern:
    return Pattern(re.compile(".*", re.DOTALL))


@given(st.text())
def test_a_value_stays_one_word_and_unchanged(text: str) -> None:
    try:
        taken = value(anything(), text, dash=True)
    except RefusedError:
        return
    assert taken == text
    assert Template.parse("--name={p}.txt").fill({"p": text}) == f"--name={text}.txt"


@pytest.mark.parametrize(
    "text", ["; reboot", "$(reboot)", "`reboot`", "a b", "{p}", "${HOME}", "*", "\n", "'\"", "%s"]
)
def test_what_a_shell_would_obey_is_but_text(text: str) -> None:
    assert Template.parse("{p}").fill({"p": value(anything(), text)}) == text


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("a\0b", "NUL"),
        ("-rf", "begins with '-'"),
        ("--exec=x", "begins with '-'"),
        ("-", "begins with '-'"),
        ("x" * 4097, "4097 bytes"),
        ("é" * 2049, "4098 bytes"),
        ("\ud800", "no Unicode"),
        ("a\udcffb", "no Unicode"),
    ],
)
def test_refused_whatever_the_kind(given: str, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        value(anything(), given)


def test_a_dash_where_it_is_allowed() -> None:
    assert value(anything(), "-rf", dash=True) == "-rf"


@pytest.mark.parametrize("given", ["4", "004", "10", "0"])
def test_whole_numbers(given: str) -> None:
    assert value(Int(0, 10), given) == str(int(given))


@pytest.mark.parametrize(
    "given",
    ["", "11", "1_0", "+1", " 1", "1 ", "1\n", "٣", "0x1", "1e1", "1.0", "9" * 4000, "1;ls"],
)
def test_what_is_no_whole_number_within_bounds(given: str) -> None:
    with pytest.raises(RefusedError, match="a whole number from 0 to 10"):
        value(Int(0, 10), given)


@pytest.mark.parametrize("given", ["a.b\n", "a.b; x", "\na.b", "a.b ", "A", ""])
def test_a_pattern_has_to_match_from_end_to_end(given: str) -> None:
    with pytest.raises(RefusedError, match="a text like"):
        value(Pattern(re.compile("[a-z.]+|a$", re.ASCII)), given)


def test_a_choice() -> None:
    assert value(Choice(("on", "off")), "on") == "on"
    for other in ("ON", "on ", "o", ""):
        with pytest.raises(RefusedError, match="one of on, off"):
            value(Choice(("on", "off")), other)


def test_nothing_is_given() -> None:
    assert value(Int(0, 10), None, default="7") == "7"
    with pytest.raises(RefusedError, match="p is missing"):
        value(Int(0, 10), None)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    inside = tmp_path / "root"
    (inside / "sub").mkdir(parents=True)
    (inside / "file").write_text("in")
    (inside / "-f").write_text("in")
    (tmp_path / "secret").write_text("out")
    (tmp_path / "root-of-others").mkdir()
    (tmp_path / "root-of-others" / "file").write_text("out")
    (inside / "out").symlink_to(tmp_path / "secret")
    (inside / "up").symlink_to("..")
    (inside / "loop").symlink_to("loop")
    (inside / "own").symlink_to("sub/../file")
    return inside


@pytest.mark.parametrize(
    "given",
    [
        "../secret", "sub/../../secret", "/etc/passwd", "out", "up/secret", "up", "loop", "none",
        "../root-of-others/file", "..", "file/../../secret", "file/x", "/", "./up/./secret",
        "sub//..//..//secret", "~", "/proc/self/root/etc/passwd", "x" * 300,
    ],
)  # fmt: skip
def test_no_way_out_of_a_root(root: Path, given: str) -> None:
    with pytest.raises(RefusedError, match="a path that is there, inside its root"):
        value(Within(root), given)


@pytest.mark.parametrize("given", ["file", "own", "./file", "sub/../file", "up/root/file"])
def test_ways_that_stay_inside(root: Path, given: str) -> None:
    assert value(Within(root), given) == str(root / "file")


def test_an_absolute_path_inside(root: Path) -> None:
    assert value(Within(root), str(root / "file")) == str(root / "file")
    assert value(Within(root), "sub") == str(root / "sub")


def test_a_link_that_is_swapped_afterwards_leads_nowhere_else(root: Path) -> None:
    taken = value(Within(root), "own")
    (root / "own").unlink()
    (root / "own").symlink_to(root.parent / "secret")
    assert Path(taken).read_text() == "in"
    with pytest.raises(RefusedError):
        value(Within(root), "own")


def test_a_root_that_is_a_link_itself(root: Path) -> None:
    link = root.parent / "link"
    link.symlink_to(root)
    assert value(Within(link), "file") == str(root / "file")


def test_a_path_begins_with_a_slash_and_so_with_no_dash(root: Path) -> None:
    assert value(Within(root), "./-f") == str(root / "-f")
    with pytest.raises(RefusedError, match="begins with '-'"):
        value(Within(root), "-f")


def test_a_root_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(RefusedError):
        value(Within(tmp_path / "gone"), "file")
    assert not os.path.lexists(tmp_path / "gone")


def test_braces() -> None:
    assert Template.parse("{{p}} {p}{p}").fill({"p": "{p}"}) == "{p} {p}{p}"
    for word in ("{", "}", "{}", "{1}", "{a b}", "{p", "p}"):
        with pytest.raises(ValueError, match="a brace alone"):
            Template.parse(word)
