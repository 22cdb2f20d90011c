"""A relay without sockets: what its two transports were told, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from netkit.servers.tls.relay import Arrival, Departure, End
from netkit.servers.tls.upstreams import Upstream


class Transport(asyncio.Transport):
    """Writes down what it is told."""

    def __init__(self, side: str, told: list[str], *, secured: bool) -> None:
        super().__init__({"ssl_object": object() if secured else None})
        self.side, self.told = side, told
        self.unsent = 0
        self.truncated = False
        self.closing = False

    def get_protocol(self) -> asyncio.BaseProtocol:
        return asyncio.Protocol()

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: Any) -> None:
        self.told.append(f"{self.side} {bytes(data).decode()}")

    def _tell(self, what: str) -> None:
        self.told.append(f"{self.side} {what}")

    def pause_reading(self) -> None:
        self._tell("pause")

    def resume_reading(self) -> None:
        self._tell("resume")

    def write_eof(self) -> None:
        self._tell("end")

    def close(self) -> None:
        self.closing = True
        self._tell("close")

    def abort(self) -> None:
        self.closing = True
        self._tell("abort")

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._tell(f"limit {high}")


class Pair:
    """A relay: C is the client's end, secured; U the upstream's, plain."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.over: list[End] = []
        self.client = Transport("C", self.told, secured=True)
        self.upstream = Transport("U", self.told, secured=False)
        self.c = Arrival(lambda end: None, self.over.append)
        self.c.connection_made(self.client)
        self.u = Departure(self.c, Upstream("up", open=1), lambda end: None, self.over.append)

    def join(self) -> None:
        self.u.connection_made(self.upstream)

    def truncated(self, end: End, transport: Transport) -> None:
        transport.truncated = True
        end.eof_received()

    def joined(self) -> Pair:
        self.join()
        self.told.clear()
        return self


STEPS: dict[str, Callable[[Pair], object]] = {
    "C>": lambda pair: pair.c.data_received(b"question"),
    "U>": lambda pair: pair.u.data_received(b"answer"),
    "C.": lambda pair: pair.c.eof_received(),
    "U.": lambda pair: pair.u.eof_received(),
    "C/": lambda pair: pair.truncated(pair.c, pair.client),
    "U/": lambda pair: pair.truncated(pair.u, pair.upstream),
    "C full": lambda pair: pair.c.pause_writing(),
    "U full": lambda pair: pair.u.pause_writing(),
    "C free": lambda pair: pair.c.resume_writing(),
    "U free": lambda pair: pair.u.resume_writing(),
    "C!": lambda pair: pair.c.connection_lost(ConnectionResetError()),
    "U!": lambda pair: pair.u.connection_lost(ConnectionResetError()),
    "C gone": lambda pair: pair.c.connection_lost(None),
    "U gone": lambda pair: pair.u.connection_lost(None),
}
"""> bytes, . an end, / one without close_notify, ! a reset, gone: lost after it was closed."""


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ("C> U>", "U question, C answer"),
        ("U full, U free", "C pause, C resume"),
        ("C full, C free", "U pause, U resume"),
        ("C., U>, U.", "U end, C answer, C close, U close"),
        ("U., C>, C.", "C end, U question, U close, C close"),
        ("C., U full, U free", "U end"),  # nothing comes there any more
        ("C., U., C gone, U gone", "U end, C close, U close"),
        ("C/", "U end, U resume"),
        ("C/, U>, U.", "U end, U resume, U close"),
        ("C., U., C!", "U end, C close, U close"),
        ("C!", "U abort"),
        ("C., C!", "U end, U abort"),
        ("U!", "C abort"),
        ("U., U!", "C end, C end, C resume"),  # it has got everything
        ("C gone", "U abort"),
        ("U gone", "C abort"),
        ("U., U gone", "C end, C end, C resume"),
        ("U., C., U gone, C gone", "C end, U close, C close"),
    ],
)
async def test_transcripts(steps: str, told: str) -> None:
    pair = Pair().joined()
    for step in steps.replace("C> U>", "C>, U>").split(", "):
        STEPS[step](pair)
    assert ", ".join(pair.told) == told
    for end in (pair.c, pair.u):
        if not end.lost:
            end.connection_lost(None)  # timers end with it
    assert pair.over == [pair.c, pair.u] or pair.over == [pair.u, pair.c]
    assert pair.u.upstream.open == 0


async def test_what_comes_before_there_is_an_upstream() -> None:
    pair = Pair()
    assert pair.told == ["C pause"]
    pair.c.data_received(b"ear")
    pair.c.data_received(b"ly")
    pair.c.eof_received()
    pair.join()
    assert pair.told == ["C pause", "U ear", "U ly", "U end"]


async def test_a_client_that_is_gone_before_there_is_an_upstream() -> None:
    pair = Pair()
    pair.c.connection_lost(None)
    pair.join()
    assert pair.told == ["C pause", "U abort"]


async def test_a_secured_end_gets_what_had_come() -> None:
    pair = Pair().joined()
    pair.client.unsent = 10
    pair.u.connection_lost(ConnectionResetError())
    assert pair.told == ["C limit 0"]
    pair.c.resume_writing()
    assert pair.told == ["C limit 0", "C abort"]
    pair.c.connection_lost(None)


async def test_a_client_that_is_refused() -> None:
    pair = Pair()
    pair.told.clear()
    pair.c.refuse("there is nobody")
    pair.c.data_received(b"hello?")
    assert pair.told == ["C end", "C resume"]
    pair.c.eof_received()
    assert pair.told[2:] == ["C close"]
    pair.c.connection_lost(None)
