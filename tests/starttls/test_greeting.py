"""The greeting of a server behind us."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.starttls import Greeting, Name, WrongGreetingError
from netkit.starttls.greeting import LONGEST

WELCOMES: list[tuple[Name, bytes]] = [
    ("smtp", b"220 mx.test ESMTP\r\n"),
    ("smtp", b"220-mx.test\r\n220-be patient\r\n220 now\r\n"),
    ("smtp", b"220\r\n"),
    ("imap", b"* OK [CAPABILITY IMAP4rev1] hello\r\n"),
    ("pop3", b"+OK <1.2@mx.test>\r\n"),
]


@pytest.mark.parametrize(("name", "welcome"), WELCOMES)
@given(cuts=st.lists(st.integers(1, 9), max_size=30))
def test_a_welcome(name: Name, welcome: bytes, cuts: list[int]) -> None:
    greeting, data = Greeting(name), welcome
    for cut in [*cuts, len(data)]:
        if data:
            assert not greeting.over
            greeting.feed(data[:cut])
            data = data[cut:]
    assert greeting.over


@pytest.mark.parametrize(("name", "welcome"), WELCOMES)
@given(cut=st.integers(0, 60))
def test_more_than_a_greeting(name: Name, welcome: bytes, cut: int) -> None:
    greeting, data = Greeting(name), welcome + b"250 so be it\r\n"
    greeting.feed(data[: min(cut, len(welcome))])
    with pytest.raises(WrongGreetingError, match="it says more than its greeting"):
        greeting.feed(data[min(cut, len(welcome)) :])


def test_irc_has_none() -> None:
    assert Greeting("irc").over


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("smtp", b"HTTP/1.1 400 Bad Request\r\n"),
        ("smtp", b"554-no\r\n554 go away\r\n"),
        ("smtp", b"421 later\r\n"),
        ("smtp", b"\n"),
        ("imap", b"* PREAUTH logged in as root\r\n"),
        ("imap", b"* BYE full\r\n"),
        ("pop3", b"-ERR busy\r\n"),
        ("pop3", b"220 mx.test\r\n"),
    ],
)
def test_no_welcome(name: Name, wrong: bytes) -> None:
    with pytest.raises(WrongGreetingError, match="it greets with b'"):
        Greeting(name).feed(wrong)


def test_a_greeting_without_end() -> None:
    greeting = Greeting("smtp")
    greeting.feed(b"220-x\r\n" * (LONGEST // 7))
    with pytest.raises(WrongGreetingError, match="more than its greeting"):
        greeting.feed(b"220-x\r\n")
