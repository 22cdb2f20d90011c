"""Replacement strings in words, and in a shell's text."""

from __future__ import annotations

import re
import subprocess

import pytest

from netkit.clients.run.template import basename, dirname, template, without_extension
from netkit.errors import UsageError


def words(command: list[str], *row: str, **how: object) -> tuple[str, ...]:
    return template(command, **how).words(row, 7, 3)  # type: ignore[arg-type]  # a test's


def text(command: str, *row: str, repeated: bool = False) -> str:
    made = template([command], shell=True, repeated=repeated)
    shell, option, line = made.words(row, 7, 3)
    assert (shell, option) == ("/bin/sh", "-c")
    assert made.line((shell, option, line)) == line
    return line


@pytest.mark.parametrize(
    ("value", "without", "base", "folder"),
    [
        ("foo.jpg", "foo", "foo.jpg", "."),
        ("subdir/foo.jpg", "subdir/foo", "foo.jpg", "subdir"),
        ("sub.dir/foo.jpg", "sub.dir/foo", "foo.jpg", "sub.dir"),
        ("sub.dir/bar", "sub.dir/bar", "bar", "sub.dir"),
        ("a.tar.gz", "a.tar", "a.tar.gz", "."),
        ("", "", "", "."),
        ("/", "/", "", "/"),
        ("//", "//", "", "/"),
        ("/x", "/x", "x", "/"),
        ("b/", "b/", "", "."),
        ("a//b", "a//b", "b", "a"),
        ("a.", "a", "a.", "."),
        (".b", "", ".b", "."),
        ("a b/c d.e", "a b/c d", "c d.e", "a b"),
    ],
)
def test_operations(value: str, without: str, base: str, folder: str) -> None:
    assert without_extension(value) == without
    assert basename(value) == base
    assert dirname(value) == folder


def test_without_a_replacement_the_argument_is_appended() -> None:
    assert words(["gzip", "-9"], "a b") == ("gzip", "-9", "a b")
    assert words(["echo", "{x}", "{ }", "${HOME}"], "a") == ("echo", "{x}", "{ }", "${HOME}", "a")
    assert words(["echo", "{#}"], "a") == ("echo", "7")


def test_each_of_them() -> None:
    row = ("a/b.c", "d/e.f")
    made = words(["x", "{1}", "{2.}", "{-1/}", "{1//}", "{-2/.}", "{#}-{%}", "{1}:{2}"], *row)
    assert made == ("x", "a/b.c", "d/e", "e.f", "a", "b", "7-3", "a/b.c:d/e.f")
    assert words(["x", "{.}", "{/}", "{//}", "{/.}"], "a/b.c") == ("x", "a/b", "b.c", "a", "b")
    assert words(["x", "{{}}", "{}{}"], "v") == ("x", "{v}", "vv")


def test_several_arguments_are_several_words() -> None:
    assert words(["x", "{}", "end"], "a", "b") == ("x", "a", "b", "end")
    assert words(["x", "-{}+"], "a", "b") == ("x", "-a", "b+")
    assert words(["x", "-{}+"], "a", "b", repeated=True) == ("x", "-a+", "-b+")
    assert words(["x", "{1}:{}"], "a", "b", repeated=True) == ("x", "a:a", "a:b")
    assert words(["x", "{2}"], "a", "b", repeated=True) == ("x", "b")


def test_what_is_missing_is_empty_and_no_arguments_are_no_word() -> None:
    assert words(["x", "{3}", "z"], "a") == ("x", "", "z")
    assert words(["x", "<{3}>", "{1}{2}"], "a") == ("x", "<>", "a")
    assert words(["x", "{-2}", "z"], "a") == ("x", "", "z")
    assert words(["x", "{}", "z", "x{}y"]) == ("x", "z", "xy")
    assert words(["x", "{}", "z"], "") == ("x", "", "z")
    assert words(["x", "", "{}"], "a") == ("x", "", "a")
    assert text("x {3} z", "a") == "x  z"
    assert text("x {} z", "") == "x '' z"


def test_columns_have_names() -> None:
    names = ("a", "First Name", "b.c")
    made = words(["x", "{a.}", "{First Name/}", "{b.c}", "{2}"], "1.2", "p/q", "r", names=names)
    assert made == ("x", "1", "q", "r", "p/q")
    assert words(["awk", "{print $1}", "{a}"], "v", names=names) == ("awk", "{print $1}", "v")


def test_a_column_that_is_not_there_is_one_line() -> None:
    with pytest.raises(
        UsageError, match=re.escape("{c.}: no such column; there are a, b (if it is none, ")
    ):
        template(["x", "{c.}"], names=("a", "b"))


NASTY = [
    "a b",
    "it's",
    '"',
    "$HOME",
    "`id`",
    "*",
    "a\nb",
    "; exit 3",
    "-n",
    "",
    "~",
    "\\",
    "\udcff",
]


@pytest.mark.parametrize("value", NASTY)
def test_a_value_stays_one_word_whatever_is_in_it(value: str) -> None:
    assert words(["x", "a{}b"], value) == ("x", f"a{value}b")
    line = text("printf '%s|' a{}b {}", value)
    told = subprocess.run(["/bin/sh", "-c", line], capture_output=True, check=True)
    expected = f"a{value}b|{value}|".encode(errors="surrogateescape")
    assert told.stdout == expected


def test_a_template_for_a_shell_is_the_users_text() -> None:
    assert text("zcat {} >{.} && echo {#}", "a b.gz") == "zcat 'a b.gz' >'a b' && echo 7"
    assert text("echo", "a b", "c") == "echo 'a b' c"
    assert text("echo  x{}y {First Name}", "a", "b") == "echo  xa by {First Name}"
    assert text("echo  x{}y  z", "a", "b", repeated=True) == "echo  xay xby  z"
    assert text("echo", "a", "b", repeated=True) == "echo a b"


def test_without_a_command_each_argument_is_one() -> None:
    assert words([], "echo 'a b' c") == ("echo", "a b", "c")
    assert words([], "echo 'a b' | wc", shell=True) == ("/bin/sh", "-c", "echo 'a b' | wc")
    with pytest.raises(UsageError, match=r"^argument 7: echo 'a: no closing quotation$"):
        words([], "echo 'a")


def test_a_line_can_be_typed_again() -> None:
    made = template(["printf", "%s\n", "{}"])
    assert made.line(made.words(("a b",), 1, 1)) == "printf '%s\n' 'a b'"


def test_who_asks_for_the_slot_is_known() -> None:
    assert template(["x", "{%}"]).numbers_slots
    assert not template(["x", "{#}"]).numbers_slots
