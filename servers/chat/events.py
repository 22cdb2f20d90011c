"""What can happen in a room, and to whom it is told.

Events are plain facts with names in them, no objects of this process, so that any
dialect can render them and any node can be sent them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from netkit.servers.chat.rooms import Member


@dataclass(frozen=True, slots=True)
class Said:
    """Someone spoke in a room; an `action` is told in the third person."""

    room: str
    who: str
    text: str
    action: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """Someone spoke to one other member alone."""

    who: str
    to: str
    text: str


@dataclass(frozen=True, slots=True)
class Joined:
    """Someone came into a room."""

    room: str
    who: str


@dataclass(frozen=True, slots=True)
class Left:
    """Someone left a room, and is still in the house."""

    room: str
    who: str


@dataclass(frozen=True, slots=True)
class Gone:
    """Someone left the house, for a reason."""

    who: str
    reason: str


@dataclass(frozen=True, slots=True)
class Renamed:
    """Someone goes by another name from now on."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class TopicSet:
    """Someone gave a room a topic; an empty one clears it."""

    room: str
    who: str
    topic: str


@dataclass(frozen=True, slots=True)
class Announced:
    """The server itself has something to say."""

    text: str


Event = Said | Told | Joined | Left | Gone | Renamed | TopicSet | Announced


class Delivery(NamedTuple):
    """One event, and the members who are to hear it."""

    event: Event
    to: tuple[Member, ...]
