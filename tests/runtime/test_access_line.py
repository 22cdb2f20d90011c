"""The line of a common connection is made in one expression; it says what the other would."""

from __future__ import annotations

import asyncio
import struct
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from netkit.connections import Connection
from netkit.kernel import PEER_FIRST
from netkit.observability.access import _directly, _line
from netkit.observability.logs import Line, LineWriter, TextFormatter

INFO = struct.Struct("=B51xI12xI56xQ64xQQ")
"""As much of struct tcp_info as is read."""

NOW, UNIX_TIME = 1000.0, 1e9


@pytest.fixture(autouse=True)
def clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both stand still."""
    loop = SimpleNamespace(time=lambda: NOW)
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    monkeypatch.setattr(time, "time", lambda: UNIX_TIME)


def line_of(formatter: TextFormatter, error: BaseException | None = None, **what: Any) -> str:
    """What is made of what is put down at a connection's end."""
    put: list[Line] = []
    writer = cast("LineWriter", SimpleNamespace(put=put.append))
    connection = SimpleNamespace(**({"tls": "", "why": ""} | what))
    _directly(writer, formatter)(cast("Connection", connection), error)
    (parts,) = put
    return str(parts[0](parts)) if isinstance(parts, tuple) else parts


@pytest.mark.parametrize("state", range(1, 13))
@pytest.mark.parametrize("seconds", [0.0, 0.0004, 0.0123, 0.5, 0.9989, 0.9996, 61.0])
def test_both_ways_say_the_same(state: int, seconds: float) -> None:
    formatter = TextFormatter(worker=2)
    last = INFO.pack(state, 7, 100, 12_345, 67_890, 90)
    peername, listener = ("192.0.2.7", 40_312), "tcp://0.0.0.0:8007"
    began = NOW - seconds
    line = line_of(formatter, peername=peername, listener=listener, began=began, last=last)
    other = _line(peername, listener, NOW - began, last, "", "", None)
    assert line == f"{formatter.clock(UNIX_TIME)} {other}"
    assert line.endswith("closed by peer" if PEER_FIRST[state] else "closed by server")


KNOWN = INFO.pack(8, 7, 100, 12_345, 67_890, 90)
RARE: list[dict[str, Any]] = [
    {"peername": None},
    {"peername": ("2001:db8::1", 40_312, 0, 0)},
    {"peername": "unix(pid=1,uid=0)"},
    {"last": None},
    {"last": b""},
    {"tls": "TLSv1.3 TLS_AES_128_GCM_SHA256"},
    {"why": "cut by the operator"},
    {"error": ConnectionResetError()},
]


@pytest.mark.parametrize("rare", RARE, ids=lambda rare: " ".join(rare))
def test_what_is_rare_is_said_too(rare: dict[str, Any]) -> None:
    formatter = TextFormatter()
    what: dict[str, Any] = {
        "peername": ("192.0.2.7", 40_312),
        "last": KNOWN,
        "tls": "",
        "why": "",
        "error": None,
    }
    what |= rare
    listener = "tcp://[::]:8007"
    line = line_of(formatter, listener=listener, began=NOW - 0.5, **what)
    other = _line(
        what["peername"], listener, 0.5, what["last"], what["tls"], what["why"], what["error"]
    )
    assert line == f"{formatter.clock(UNIX_TIME)} {other}"
    assert " 0.500 s, " in line
