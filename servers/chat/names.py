"""What people and rooms may be called, and what a text may contain.

A name is shown as it was typed and compared by its key, so that "Alice", "ALICE"
and "alice" in full-width letters are one person. The rules:

1. letters, digits, their combining marks, and ``- _ . [ ] { } | ^ ` \\``;
2. nothing that shows as blank or not at all, in the name or in its key;
3. at most so many characters, in the name and in its key.

Letters of two scripts that look alike (Latin a, Cyrillic a) stay two names.
"""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

PUNCTUATION = frozenset("-_.[]{}|^`\\")

# Letters and marks that draw nothing (Unicode's Default_Ignorable_Code_Point beyond
# the category Cf): with one of these inside, two names look the same.
INVISIBLE = frozenset(
    chr(code)
    for first, last in (
        (0x034F, 0x034F),  # combining grapheme joiner
        (0x115F, 0x1160),  # Hangul fillers
        (0x17B4, 0x17B5),  # Khmer inherent vowels
        (0x180B, 0x180F),  # Mongolian variation selectors
        (0x3164, 0x3164),  # Hangul filler
        (0xFE00, 0xFE0F),  # variation selectors
        (0xFFA0, 0xFFA0),  # half-width Hangul filler
        (0xE0100, 0xE01EF),  # variation selectors supplement
    )
    for code in range(first, last + 1)
)

# Zero-width joiner and non-joiner: Persian, Indic scripts and emoji are misspelt without.
JOINERS = frozenset("\u200c\u200d")


class Name(NamedTuple):
    """A name as it is shown, and the key that makes it the same as another."""

    shown: str
    key: str


class BadName(ValueError):  # noqa: N818 - the name is bad; nothing has failed
    """A name breaks a rule; ``str()`` says which."""


def read(text: str, limit: int) -> Name:
    """Read a name of at most `limit` characters; raises `BadName`."""
    name = Name(unicodedata.normalize("NFC", text), fold(text))
    if not name.shown or not name.key:
        raise BadName("a name has at least one character")
    if max(map(len, name)) > limit:
        raise BadName(f"a name has at most {limit} characters")
    if unicodedata.category(name.shown[0]).startswith("M"):
        raise BadName("a name cannot begin with a combining mark")
    for character in name.shown + name.key:
        if character.isspace():
            raise BadName("a name has no spaces, not even ones that look otherwise")
        if not _allowed(character):
            raise BadName(f"a name cannot contain U+{ord(character):04X}: letters, digits, - _ .")
    return name


def fold(text: str) -> str:
    """Return the key under which names compare: caseless, compatibility forms made equal.

    Source: the Unicode Standard, D146, compatibility caseless match.
    """
    once = unicodedata.normalize("NFKD", unicodedata.normalize("NFD", text).casefold())
    return unicodedata.normalize("NFKC", once.casefold())


def clean(text: str) -> str:
    """Return `text` without what could move a cursor, hide words or reverse them.

    Blanks of every width become the ordinary space; control and formatting characters
    go, among them bidi overrides and line separators.
    """
    if text.isprintable():
        return text
    return "".join(map(_cleaned, text))


def _allowed(character: str) -> bool:
    if character in PUNCTUATION:
        return True
    return unicodedata.category(character)[0] in "LMN" and character not in INVISIBLE


def _cleaned(character: str) -> str:
    match unicodedata.category(character):
        case "Zs":
            return " "
        case "Cc":
            return " " if character == "\t" else ""
        case "Cf":
            return character if character in JOINERS else ""
        case "Cs" | "Zl" | "Zp":
            return ""
        case _:
            return character
