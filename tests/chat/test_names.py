"""What may be a name, and what is left of a text."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.servers.chat import names

HIDDEN = {"Cc", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize("text", ["alice", "Ünal", "李小龍", "r2-d2", "[bot]", "a.b_c", "ನಮಸ್ಕಾರ"])
def test_a_name_is_shown_as_typed(text: str) -> None:
    assert names.read(text, 24).shown == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("alice", "ALICE"),
        ("alice", "\uff21\uff4c\uff49\uff43\uff45"),  # full width
        ("stra\u00dfe", "STRASSE"),
        ("caf\u00e9", "cafe\u0301"),
        ("\ufb01ona", "fiona"),  # a ligature
    ],
)
def test_names_that_are_the_same(one: str, other: str) -> None:
    assert names.read(one, 24).key == names.read(other, 24).key


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "at least one character"),
        ("x" * 25, "at most 24 characters"),
        ("\ufdfa" * 2, "at most 24 characters"),  # one character whose key has 18
        ("al ice", "no spaces"),
        ("al\u00a0ice", "no spaces"),
        ("al\u2003ice", "no spaces"),
        ("al\u3000ice", "no spaces"),
        ("al\u200bice", "U+200B"),
        ("al\u202eice", "U+202E"),
        ("al\u200dice", "U+200D"),
        ("al\u3164ice", "U+3164"),
        ("al\u2800ice", "U+2800"),
        ("alice\ufe0f", "U+FE0F"),
        ("a\x07b", "U+0007"),
        ("\u0301a", "combining mark"),
        ("a\u00a8b", "U+00A8"),  # compatible with a space and an accent
        ("#alice", "U+0023"),
        ("<alice>", "U+003C"),
        ("*", "U+002A"),
        ("/alice", "U+002F"),
    ],
)
def test_names_that_are_refused(text: str, complaint: str) -> None:
    with pytest.raises(names.BadName, match=complaint.replace("+", r"\+")):
        names.read(text, 24)


@given(st.text(max_size=40))
def test_whatever_is_a_name_is_bounded_visible_and_stable(text: str) -> None:
    try:
        name = names.read(text, 24)
    except names.BadName:
        return
    assert 1 <= len(name.shown) <= 24
    assert 1 <= len(name.key) <= 24
    assert name.shown.isprintable() or all(
        unicodedata.category(character)[0] in "LMN" for character in name.shown
    )
    assert not any(map(str.isspace, name.shown + name.key))
    assert names.fold(name.shown) == name.key
    assert names.fold(name.key) == name.key


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("plain", "plain"),
        ("a\tb", "a b"),
        ("a\x1b[2Jb", "a[2Jb"),
        ("a\x9bb\x7f", "ab"),
        ("\u202eevil\u2066", "evil"),
        ("a\u2028b\u2029c", "abc"),
        ("a\u00a0b\u3000c", "a b c"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
        ("\U0001f469\u200d\U0001f680", "\U0001f469\u200d\U0001f680"),
    ],
)
def test_a_text_is_cleaned(dirty: str, clean: str) -> None:
    assert names.clean(dirty) == clean


@given(st.text())
def test_no_text_keeps_a_control_character(text: str) -> None:
    cleaned = names.clean(text)
    assert not {unicodedata.category(character) for character in cleaned} & HIDDEN
    assert names.clean(cleaned) == cleaned
