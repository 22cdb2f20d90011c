"""What one may not ask of ``netkit serve broadcast``: each is one line, before it starts."""

from __future__ import annotations

import pytest

from tests.commands import netkit

TO = ("--to", "127.0.0.1:9")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "what is to be sent? give one of --message, --stdin, --follow, --exec"),
        (("--message", "x"), "to whom? give --to ADDR:PORT, or --subscribe PORT"),
        ((*TO, "--message", "x", "--stdin"), "--message and --stdin: a feed has one source"),
        ((*TO, "--message", "{when}"), "--message: {when} is not known; there are {time}"),
        ((*TO, "--message", "x", "--every", "soon"), "--every soon: give a time such as 1s"),
        ((*TO, "--message", "x", "--rate", "much"), "--rate: 'much' is no rate"),
        ((*TO, "--message", "x", "--raw", "--parity", "4+1"), "--parity: --raw sends no header"),
        ((*TO, "--message", "x", "--parity", "4"), "--parity 4: give K+R"),
        ((*TO, "--message", "x", "--sender", "me"), "--sender me: give 8 hex digits"),
        ((*TO, "--message", "x", "--workers", "2"), "keeps its state in one process"),
        ((*TO, "--message", "x", "--dscp", "best"), "--dscp best: give 0 to 63"),
        ((*TO, "--message", "x", "--key", "/nowhere/key"), "/nowhere/key: there is no such file"),
        (("--to", "tcp://127.0.0.1:9", "--message", "x"), "datagrams go to ADDR:PORT"),
    ],
)
def test_what_makes_no_sense_gets_one_line(arguments: tuple[str, ...], line: str) -> None:
    ended = netkit("serve", "broadcast", *arguments, "--dump-config")
    assert ended.status == 2
    assert line in ended.errors
    assert len(ended.errors.splitlines()) == 1
