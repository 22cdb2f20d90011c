"""Who is where and who hears what. No socket, no clock, no asyncio.

Every change goes through `Rooms`; each call either returns what is to be delivered
and to whom, or raises `Refused` and changes nothing. The rules:

1. a name, compared by its key, belongs to one member at a time;
2. a member is in a room if and only if the room has the member;
3. a room exists while someone is in it, and its topic with it;
4. whoever speaks does not hear themselves; every other event is also told to its cause;
5. everything counted in `Limits` stays within it, and nothing else grows.

A member is a person, not a connection: who carries deliveries to them, over how many
connections and from which process, is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from netkit.servers.chat import names
from netkit.servers.chat.events import (
    Announced,
    Delivery,
    Gone,
    Joined,
    Left,
    Renamed,
    Said,
    Told,
    TopicSet,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much there may be; lengths are in characters."""

    members: int = 2_000
    rooms: int = 1_000
    rooms_per_member: int = 20
    members_per_room: int = 1_000
    name: int = 24
    topic: int = 300


class Why(Enum):
    """Why something was refused; the value is what to tell a person."""

    BAD_NAME = "{}"
    NAME_TAKEN = "the name {} is taken"
    HOUSE_FULL = "there are too many people here already, come back later"
    ROOM_FULL = "{} is full"
    TOO_MANY_ROOMS = "there are too many rooms already: /rooms lists them"
    IN_TOO_MANY_ROOMS = "you are in too many rooms: /leave one first"
    NO_SUCH_MEMBER = "nobody here is called {}"
    NO_SUCH_ROOM = "there is no room {}"
    IN_NO_ROOM = "you are in no room: /join one"
    NOT_IN_ROOM = "you are not in {}"
    NOTHING_SAID = "there is nothing in it to say"
    TOPIC_TOO_LONG = "a topic has at most {} characters"


class Refused(Exception):  # noqa: N818 - the request was refused; nothing has failed
    """A request that the rules do not allow; ``str()`` is what to tell the person."""

    def __init__(self, why: Why, subject: object = "") -> None:
        self.why = why
        super().__init__(why.value.format(_shortened(str(subject))))


@dataclass(eq=False, slots=True)
class Member:
    """A person in the house, and the rooms they are in by key, the latest joined last."""

    name: names.Name
    rooms: dict[str, Room] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name.shown


@dataclass(eq=False, slots=True)
class Room:
    """A room, and who is in it in order of arrival (a dict is an ordered set)."""

    name: names.Name
    topic: str = ""
    members: dict[Member, None] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"#{self.name.shown}"


class Rooms:
    """All rooms and members of one house, in the order in which they came."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.members: dict[str, Member] = {}
        self.rooms: dict[str, Room] = {}
        self.messages = 0
        """What people have said, to a room or to one person."""

    def enter(self, name: str) -> Member:
        """Let a person in under a name; they are in no room yet and nobody is told."""
        if len(self.members) >= self.limits.members:
            raise Refused(Why.HOUSE_FULL)
        member = Member(self._free_name(name))
        self.members[member.name.key] = member
        return member

    def depart(self, member: Member, reason: str) -> list[Delivery]:
        """Take a member out of the house; everybody who shared a room is told once."""
        del self.members[member.name.key]
        company = self._company(member)
        for room in list(member.rooms.values()):
            self._part(member, room)
        return [Delivery(Gone(str(member), names.clean(reason)), company)] if company else []

    def rename(self, member: Member, name: str) -> list[Delivery]:
        """Give a member another name, or the same one in other letters."""
        old = member.name
        new = self._free_name(name, owner=member)
        del self.members[old.key]
        self.members[new.key] = member
        member.name = new
        return [Delivery(Renamed(old.shown, new.shown), (member, *self._company(member)))]

    def join(self, member: Member, name: str) -> list[Delivery]:
        """Bring a member into a room, made if there is none.

        For one who is there already it becomes the latest, and is news to nobody.
        """
        called = self._read(name.removeprefix("#"))
        if called.key in member.rooms:
            member.rooms[called.key] = member.rooms.pop(called.key)
            return []
        room = self.rooms.get(called.key)
        if len(member.rooms) >= self.limits.rooms_per_member:
            raise Refused(Why.IN_TOO_MANY_ROOMS)
        if room is None and len(self.rooms) >= self.limits.rooms:
            raise Refused(Why.TOO_MANY_ROOMS)
        if room is not None and len(room.members) >= self.limits.members_per_room:
            raise Refused(Why.ROOM_FULL, room)
        if room is None:
            room = self.rooms[called.key] = Room(called)
        room.members[member] = None
        member.rooms[called.key] = room
        return [Delivery(Joined(str(room), str(member)), tuple(room.members))]

    def leave(self, member: Member, room: Room) -> list[Delivery]:
        """Take a member out of one room."""
        self._require(member, room)
        hearers = tuple(room.members)
        self._part(member, room)
        return [Delivery(Left(str(room), str(member)), hearers)]

    def say(self, member: Member, room: Room, text: str, *, action: bool = False) -> list[Delivery]:
        """Speak in a room that one is in."""
        self._require(member, room)
        said = Said(str(room), str(member), _words(text), action)
        self.messages += 1
        hearers = tuple([other for other in room.members if other is not member])
        return [Delivery(said, hearers)] if hearers else []

    def tell(self, member: Member, name: str, text: str) -> list[Delivery]:
        """Speak to one member alone."""
        other = self.member(name)
        told = Told(str(member), str(other), _words(text))
        self.messages += 1
        return [Delivery(told, (other,))]

    def set_topic(self, member: Member, room: Room, topic: str) -> list[Delivery]:
        """Say what a room is about; an empty topic clears it."""
        self._require(member, room)
        topic = names.clean(topic).strip()
        if len(topic) > self.limits.topic:
            raise Refused(Why.TOPIC_TOO_LONG, self.limits.topic)
        room.topic = topic
        return [Delivery(TopicSet(str(room), str(member), topic), tuple(room.members))]

    def announce(self, text: str) -> list[Delivery]:
        """Tell everybody something in the server's own name."""
        return [Delivery(Announced(text), tuple(self.members.values()))]

    def member(self, name: str) -> Member:
        """Find a member by name."""
        try:
            return self.members[names.fold(name)]
        except KeyError:
            raise Refused(Why.NO_SUCH_MEMBER, name) from None

    def room(self, name: str) -> Room:
        """Find a room by name, with or without its ``#``."""
        name = name.removeprefix("#")
        try:
            return self.rooms[names.fold(name)]
        except KeyError:
            raise Refused(Why.NO_SUCH_ROOM, f"#{name}") from None

    def _read(self, name: str) -> names.Name:
        try:
            return names.read(name, self.limits.name)
        except names.BadName as error:
            raise Refused(Why.BAD_NAME, error) from None

    def _free_name(self, text: str, owner: Member | None = None) -> names.Name:
        name = self._read(text)
        if self.members.get(name.key, owner) is not owner:
            raise Refused(Why.NAME_TAKEN, name.shown)
        return name

    def _company(self, member: Member) -> tuple[Member, ...]:
        """Everybody else who shares a room with a member, each once."""
        met = _ordered_set(other for room in member.rooms.values() for other in room.members)
        met.pop(member, None)
        return tuple(met)

    def _require(self, member: Member, room: Room) -> None:
        if member not in room.members:
            raise Refused(Why.NOT_IN_ROOM, room)

    def _part(self, member: Member, room: Room) -> None:
        del room.members[member]
        del member.rooms[room.name.key]
        if not room.members:
            del self.rooms[room.name.key]


def _ordered_set(members: Iterable[Member]) -> dict[Member, None]:
    return dict.fromkeys(members)


def _words(text: str) -> str:
    text = names.clean(text).strip()
    if not text:
        raise Refused(Why.NOTHING_SAID)
    return text


def _shortened(subject: str, limit: int = 100) -> str:
    """Keep an answer about a long name short: it quotes what a peer typed."""
    subject = names.clean(subject)
    return subject if len(subject) <= limit else f"{subject[:limit]}…"
