"""What a listener tells whoever prints, records or counts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeAlias

from netkit.feeds.cookies import Peer

Address: TypeAlias = Peer
"""An address and port, as a socket gives them."""


class Identity(NamedTuple):
    """Which feed: one run of one sender."""

    sender: int
    epoch: int
    """Unix time in seconds at which it started."""


class How(Enum):
    """How a payload got here."""

    DIRECT = "direct"
    REPAIRED = "repaired"
    """It had been missing, had been asked for, and came."""
    RESTORED = "restored"
    """It was computed from parity."""


class End(Enum):
    """Why nothing more comes of a feed."""

    ENDED = "ended"
    """Its sender said so."""
    RESTARTED = "restarted"
    """Its sender has begun another."""
    QUIET = "quiet"
    """It was given up in favour of another sender, having been quiet."""
    CLOSED = "closed"
    """We stopped listening."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A feed is heard."""

    feed: Identity
    first: int
    """The first number that we deliver or miss."""
    address: Address


class Delivered(NamedTuple):
    """A payload, in order."""

    feed: Identity
    sequence: int
    time: int
    """Nanoseconds of Unix time, on the sender's clock, at which it was sent first."""
    arrived: int
    """The same on ours, at which it came."""
    payload: bytes
    source: Address
    """From where this one came, perhaps not `Feed.address`."""
    how: How


@dataclass(frozen=True, slots=True)
class DeliveredRun:
    """Payloads with consecutive numbers, in order, in the datagrams in which they came."""

    feed: Identity
    first: int
    count: int
    datagrams: bytes
    """One behind the other, all of one size."""
    arrived: int
    source: Address


@dataclass(frozen=True, slots=True)
class Lost:
    """Numbers lost for good, at their place between what is delivered."""

    feed: Identity
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The last of a feed."""

    feed: Identity
    why: End


Event: TypeAlias = Begun | Delivered | DeliveredRun | Lost | Ended
