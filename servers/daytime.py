"""Daytime: what time is it, for people (RFC 867).

Start it, then ask::

    netkit serve daytime
    ncat --recv-only 127.0.0.1 8013

The answer is one line, in UTC and in the form of RFC 3339: ``2026-02-03T04:05:06Z``. Over
UDP it is cut to the length of the question, since a shorter date is still a date: whoever
sends ten bytes learns the day. ``--amplify`` always sends the whole line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar

from netkit import Service
from netkit.servers.datagrams import Answering
from netkit.servers.once import SayOnce
from netkit.service import DatagramFactory, ProtocolFactory


def daytime(now: datetime) -> bytes:
    """The line for the moment `now`, which must know its time zone."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ\r\n").encode("ascii")


@dataclass
class Daytime(Service):
    """Tell the date and time as a line of text, over TCP and UDP (RFC 867)."""

    port: ClassVar[int] = 8013

    amplify: bool = field(
        default=False, metadata={"help": "let a UDP answer be longer than its question"}
    )

    def stream(self) -> ProtocolFactory:
        """One line for each connection."""
        return partial(SayOnce, lambda: daytime(datetime.now(UTC)))

    def datagram(self) -> DatagramFactory:
        """One answering protocol for each UDP socket."""
        return partial(Answering, lambda room: daytime(datetime.now(UTC)), amplify=self.amplify)
