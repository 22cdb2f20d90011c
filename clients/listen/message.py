"""What a listener hands on: one datagram in its place, with what is known of its way."""

from __future__ import annotations

from typing import NamedTuple


class Message(NamedTuple):
    """A payload and where it came from. Of a feed without headers there are no numbers."""

    payload: bytes
    source: str
    """Address that it came from, ``192.0.2.1:9999``."""
    time: int
    """Nanoseconds of Unix time at which it was sent first; without a header, at which it came."""
    latency: float | None = None
    """Seconds from then until it came, by both machines' clocks."""
    sender: int | None = None
    epoch: int | None = None
    sequence: int | None = None
    gap: int = 0
    """How many right before it are lost for good."""
    repaired: bool = False
    """Whether it was sent again since it was asked for, or computed from parity."""
