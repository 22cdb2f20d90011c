"""What one asks of `netkit listen`, a dataclass for each concern. Times are in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from netkit.addresses import Address
from netkit.feeds.sockets import BUFFER


@dataclass(frozen=True, slots=True)
class Where:
    """What to listen to: addresses, or a sender that is asked to send to us."""

    addresses: tuple[Address, ...] = ()
    interface: str = ""
    sources: tuple[str, ...] = ()
    """Of multicast groups only what these senders send (RFC 4607)."""
    subscribe: Address | None = None
    subscribe_seconds: int = 60
    """For how long a subscription is asked for each time."""
    buffer: int = BUFFER
    """Bytes of receive buffer for each socket."""


@dataclass(frozen=True, slots=True)
class How:
    """How to take what comes."""

    raw: bool = False
    """Payloads without a header."""
    key: Path | None = None
    """Take only what its holder has sealed."""
    repair: bool = True
    """Ask for what is missing."""
    hold: float = 0.1
    """How long a gap holds up what follows where it cannot be asked for."""
    offload: bool = True
    """Read many datagrams at once where the kernel can."""


@dataclass(frozen=True, slots=True)
class Until:
    """When it is over, besides a signal."""

    count: int | None = None
    """When so many messages have been delivered."""
    duration: float | None = None
    keep: bool = False
    """Stay when every feed that was heard has been ended by its sender."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What becomes of messages."""

    form: Literal["text", "json", ""] = "text"
    """How they are printed; empty: not at all."""
    end: bytes = b"\n"
    """What stands behind a payload that is printed as text."""
    command: str | None = None
    """Is run for each."""
    jobs: int = 1
    """So many of them at the same time."""
    pcap: Path | None = None
    record: Path | None = None


@dataclass(frozen=True, slots=True)
class Remarks:
    """What is told on standard error."""

    interval: float | None = None
    """From one live line to the next; None: none."""
    as_json: bool = False
    quiet: bool = False
    """Without the summary at the end."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """All of it."""

    where: Where
    how: How = field(default_factory=How)
    until: Until = field(default_factory=Until)
    outgoing: Outgoing = field(default_factory=Outgoing)
    remarks: Remarks = field(default_factory=Remarks)
