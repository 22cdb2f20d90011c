"""The line of a common connection is made in one expression; it says what the other would."""

from __future__ import annotations

import struct

import pytest

from netkit.kernel import PEER_FIRST
from netkit.observability.access import _dated, _line
from netkit.observability.logs import TextFormatter

INFO = struct.Struct("=B51xI12xI56xQ64xQQ")
"""As much of struct tcp_info as is read."""


@pytest.mark.parametrize("state", range(1, 13))
@pytest.mark.parametrize("seconds", [0.0, 0.0004, 0.0123, 0.5, 0.9989, 0.9996, 61.0])
def test_both_ways_say_the_same(state: int, seconds: float) -> None:
    formatter = TextFormatter(worker=2)
    last = INFO.pack(state, 7, 100, 12_345, 67_890, 90)
    parts = ("192.0.2.7", 40_312), "tcp://0.0.0.0:8007", seconds, last, "", "", None
    line = _dated((_dated, formatter, 1e9, *parts))
    assert line == f"{formatter.clock(1e9)} {_line(*parts)}"
    assert line.endswith("closed by peer" if PEER_FIRST[state] else "closed by server")


@pytest.mark.parametrize("peername", [None, ("2001:db8::1", 40_312, 0, 0), "unix(pid=1,uid=0)"])
@pytest.mark.parametrize("last", [None, b""])
def test_what_is_rare_is_said_too(peername: object, last: bytes | None) -> None:
    formatter = TextFormatter()
    parts = peername, "tcp://[::]:8007", 0.5, last, "", "cut by the operator", None
    line = _dated((_dated, formatter, 1e9, *parts))
    assert line == f"{formatter.clock(1e9)} {_line(*parts)}"
    assert line.endswith("0.500 s, bytes unknown: cut by the operator")
