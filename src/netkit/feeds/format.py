"""The datagram of a feed: a header of 32 bytes, then what is sent.

Specified in docs/feed-format.md, which is the authority for other implementations.
Numbers are in network byte order. Sequence and time stand at multiples of eight,
so that those of many datagrams in one buffer are read and written at once.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from enum import IntEnum, IntFlag

MAGIC = b"NK"
VERSION = 1
HEADER = struct.Struct(">2sBBIIIQQ")
"""Magic; version and kind; flags; sender; epoch; extra; sequence; time."""

SIZE = HEADER.size
"""Bytes of a header: 32."""

CONTROL = 64
"""Bytes of each datagram about a subscription: no answer is larger than its question."""


class Kind(IntEnum):
    """What a datagram is for."""

    DATA = 0
    """A payload. `extra`: how many sequence numbers before this one may be asked for again."""
    HEARTBEAT = 1
    """No payload. `sequence` is the last one sent, so that a lost end is noticed.

    `extra`: how many numbers up to and with that may be asked for again.
    """
    PARITY = 2
    """What restores lost ones of a block. `sequence`: the block's first; `extra`: see `parity`."""
    ASK = 3
    """Listener to sender: send these again. The payload is `extra` ranges."""
    ASKED = 4
    """Sender to listeners: somebody has asked for these. The payload is `extra` ranges."""
    SUBSCRIBE = 5
    """Listener to sender; `extra`: seconds wanted, 0 to leave. Its cookie is in the payload."""
    CHALLENGE = 6
    """Sender to listener: subscribe again with this cookie."""
    SUBSCRIBED = 7
    """Sender to listener; `extra`: seconds until it expires, `sequence`: the next one."""
    REFUSED = 8
    """Sender to listener; `extra`: a `Refusal`."""


class Flag(IntFlag):
    """What else is to be known of a datagram."""

    HMAC = 1
    """The last 16 bytes authenticate it (see `sealing`)."""
    ED25519 = 2
    """The last 64 bytes are its signature."""
    END = 4
    """Nothing follows: this is the last sequence number of this epoch."""


NONE = Flag(0)


class Refusal(IntEnum):
    """Why a subscription is refused."""

    FULL = 1


class MalformedError(ValueError):
    """A datagram that is none of ours. `slug` is the reason by which it is counted."""

    def __init__(self, slug: str) -> None:
        super().__init__(slug)
        self.slug = slug


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the payload."""

    kind: Kind
    sender: int
    """32 bits that name the sender, chosen by it or for it."""
    epoch: int
    """Unix time in seconds at which it started: a sender that restarts counts anew."""
    sequence: int
    time: int
    """Nanoseconds of Unix time at which the payload was sent first."""
    extra: int = 0
    flags: Flag = NONE

    def pack(self) -> bytes:
        """As it is sent."""
        return HEADER.pack(
            MAGIC, VERSION << 4 | self.kind, self.flags,
            self.sender, self.epoch, self.extra, self.sequence, self.time,
        )  # fmt: skip

    def flagged(self, flag: Flag) -> Header:
        """The same with one more flag."""
        return replace(self, flags=self.flags | flag)


_KINDS = tuple(Kind)
_FLAGS = tuple(map(Flag, range(256)))  # making one takes longer than all the rest of `unpack`


def unpack(datagram: bytes | memoryview) -> Header:
    """The header of what came; the payload is what follows `SIZE`, a seal excepted.

    Raises `MalformedError` with `slug` ``short``, ``magic``, ``version`` or ``kind``.
    """
    if len(datagram) < SIZE:
        raise MalformedError("short")
    magic, what, flags, sender, epoch, extra, sequence, time = HEADER.unpack_from(datagram)
    if magic != MAGIC:
        raise MalformedError("magic")
    if what >> 4 != VERSION:
        raise MalformedError("version")
    if what & 15 >= len(_KINDS):
        raise MalformedError("kind")
    return Header(_KINDS[what & 15], sender, epoch, sequence, time, extra, _FLAGS[flags])
