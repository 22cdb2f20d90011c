"""Time: what time is it, for machines (RFC 868).

Start it, then ask::

    netkit serve time
    ncat --recv-only 127.0.0.1 8037 | od -A n -t u4 --endian=big

The answer is four bytes: the seconds since 1900 began, UTC, as an unsigned number, highest
byte first. That number overflows at 06:28:16 UTC on 7 February 2036 and begins at 0 again,
so a client has to know in which era of 136 years it lives.

Over UDP a question shorter than four bytes gets no answer, since a part of a number is a
wrong number. ``--amplify`` answers every question, the RFC's empty one included.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Final

from netkit import Service
from netkit.servers.datagrams import Answering
from netkit.servers.once import SayOnce
from netkit.service import DatagramFactory, ProtocolFactory

UNIX_EPOCH: Final = 2_208_988_800
"""Seconds from the start of 1900 to that of 1970 (RFC 868 names this figure)."""


def seconds_since_1900(unix_time: float) -> bytes:
    """The four bytes for a moment given in seconds since 1970."""
    return ((int(unix_time) + UNIX_EPOCH) % 2**32).to_bytes(4, "big")


def now() -> bytes:
    """The four bytes for this moment."""
    return seconds_since_1900(time.time())


def now_if_whole(room: int) -> bytes:
    """The four bytes for this moment, or none if there is no room for all."""
    return now() if room >= 4 else b""


@dataclass
class Time(Service):
    """Tell the time as a number of seconds, over TCP and UDP (RFC 868)."""

    port: ClassVar[int] = 8037

    amplify: bool = field(
        default=False, metadata={"help": "let a UDP answer be longer than its question"}
    )

    def stream(self) -> ProtocolFactory:
        """Four bytes for each connection."""
        return partial(SayOnce, now)

    def datagram(self) -> DatagramFactory:
        """One answering protocol for each UDP socket."""
        return partial(Answering, now_if_whole, amplify=self.amplify)
