"""The plain dialect: what a person types, and what they read. No I/O.

A line is a command if it begins with ``/``, else it is said in the room that the person
joined last (``//`` says a line that begins with a slash). The first line is their name.

Every line that a person reads begins with a mark that no name or text can imitate:

- ``#room <name> words`` and ``#room * name waves``: heard in a room
- ``(private) <name> words``: said to them alone
- ``* …``: what happened, ``! …``: why something did not
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from netkit.servers.chat import names
from netkit.servers.chat.events import (
    Announced,
    Delivery,
    Event,
    Gone,
    Joined,
    Left,
    Renamed,
    Said,
    Told,
    TopicSet,
)
from netkit.servers.chat.flood import Bucket
from netkit.servers.chat.framing import TooLong
from netkit.servers.chat.rooms import Member, Refused, Room, Rooms, Why

LISTED = 100  # of a crowd, how many /who and /rooms name: a short line gets no endless answer

HELP = """\
* TEXT              say it in the room you joined last
* /me TEXT          say what you do
* /msg NAME TEXT    say it to one person alone
* /who [ROOM]       who is here
* /rooms            which rooms there are
* /join ROOM        enter a room, make it, or go back to speaking in it
* /leave [ROOM]     leave it
* /topic [TEXT]     read or set what the room is about ("-" clears it)
* /nick NAME        go by another name
* /quit [WORDS]     leave the server
* //TEXT            say a line that begins with a slash"""


@dataclass(frozen=True, slots=True)
class Reply:
    """A line, or several, to this connection alone."""

    text: str


@dataclass(frozen=True, slots=True)
class Entered:
    """This connection now speaks for a member: deliveries to them go here."""

    member: Member


@dataclass(frozen=True, slots=True)
class Ended:
    """The connection is to be closed once everything is sent."""


Output = Reply | Delivery | Entered | Ended


def encode(text: str) -> bytes:
    """Encode lines for the network, where they end in CR LF (RFC 854)."""
    return text.replace("\n", "\r\n").encode() + b"\r\n"


def decode(line: bytes) -> str:
    """Read a line: bad UTF-8 becomes U+FFFD, control characters go."""
    return names.clean(line.decode("utf-8", "replace")).strip()


def render(event: Event) -> str:
    """Write an event as everybody who is told of it reads it."""
    match event:
        case Said(room, who, text, action):
            return f"{room} * {who} {text}" if action else f"{room} <{who}> {text}"
        case Told(who, _, text):
            return f"(private) <{who}> {text}"
        case Joined(room, who):
            return f"* {who} joined {room}"
        case Left(room, who):
            return f"* {who} left {room}"
        case Gone(who, reason):
            return f"* {who} left ({reason})"
        case Renamed(old, new):
            return f"* {old} is now {new}"
        case TopicSet(room, who, topic):
            return (
                f"* {who} set the topic of {room}: {topic}"
                if topic
                else (f"* {who} cleared the topic of {room}")
            )
        case Announced(text):
            return f"* {text}"


class Session:
    """One connection's talk with the house: its lines in, outputs to be carried out in order.

    Iterate each call's outputs to the end: the rooms change as they come.
    """

    def __init__(self, rooms: Rooms, *, motd: str, lobby: str, bucket: Bucket) -> None:
        self.rooms = rooms
        self.motd = motd
        self.lobby = lobby
        self.bucket = bucket
        self.member: Member | None = None
        self.over = False
        self._flooding = False

    def greet(self) -> Iterator[Output]:
        """Open the talk."""
        if self.motd:
            yield Reply("\n".join(f"* {names.clean(line)}" for line in self.motd.splitlines()))
        yield Reply("* What is your name?")

    def receive(self, lines: list[bytes | TooLong], now: float) -> Iterator[Output]:
        """Answer what arrived at `now` (seconds); lines beyond the rate are dropped."""
        allowed = self.bucket.take(len(lines), now)
        for line in lines[:allowed]:
            if self.over:
                return
            yield from self._answer(line)
        if allowed < len(lines) and not self._flooding and not self.over:
            self._flooding = True
            yield Reply(
                f"! too fast: what is beyond {self.bucket.burst} lines at once "
                f"and {self.bucket.rate:g} a second is dropped"
            )
        elif self.bucket.calm:
            self._flooding = False

    def leave(self, reason: str) -> list[Delivery]:
        """End the talk, whoever ended it; safe to call twice."""
        self.over = True
        member, self.member = self.member, None
        return self.rooms.depart(member, reason) if member else []

    def described(self) -> str:
        """Say whose talk it is, and in which rooms they are."""
        if self.member is None:
            return "has left" if self.over else "no name yet"
        rooms = " ".join(map(str, self.member.rooms.values()))
        return f"{self.member} in {rooms or 'no room'}"

    def _answer(self, line: bytes | TooLong) -> Iterator[Output]:
        if isinstance(line, TooLong):
            yield Reply("! that line was too long and nobody saw it")
            return
        text = decode(line)
        if not text:
            return
        try:
            if self.member is None:
                yield from self._before_entry(text)
            elif text.startswith("/") and not text.startswith("//"):
                yield from self._command(self.member, text)
            else:
                yield from self._say(self.member, text.removeprefix("/"))
        except Refused as refused:
            yield Reply(f"! {refused}")
            if refused.why is Why.HOUSE_FULL:
                self.over = True
                yield Ended()

    def _before_entry(self, text: str) -> Iterator[Output]:
        verb, _, rest = text.partition(" ")
        match verb.lower():
            case "/help":
                yield Reply(HELP)
            case "/quit":
                yield from self._quit(None, rest)
            case "/nick":
                yield from self._enter(rest.strip())
            case _ if verb.startswith("/"):
                yield Reply("! first your name, please: just type it")
            case _:
                yield from self._enter(text)

    def _enter(self, name: str) -> Iterator[Output]:
        member = self.member = self.rooms.enter(name)
        yield Entered(member)
        yield Reply(f"* Hello {member}. /help lists the commands.")
        yield from self._join(member, self.lobby)

    def _command(self, member: Member, text: str) -> Iterator[Output]:
        verb, _, rest = text.partition(" ")
        command = COMMANDS.get(verb.lower())
        if command is None:
            yield Reply(f"! there is no command {verb[:20]}: /help lists them")
        else:
            yield from command(self, member, rest.strip())

    def _say(self, member: Member, text: str) -> Iterator[Output]:
        yield from self.rooms.say(member, _current(member), text)

    def _me(self, member: Member, text: str) -> Iterator[Output]:
        yield from self.rooms.say(member, _current(member), text, action=True)

    def _msg(self, member: Member, rest: str) -> Iterator[Output]:
        name, _, text = rest.partition(" ")
        if not text:
            yield Reply("! /msg needs a name and a text: /msg NAME TEXT")
            return
        for delivery in self.rooms.tell(member, name, text):
            yield delivery
            yield Reply(f"* told {delivery.to[0]} in private")

    def _who(self, member: Member, name: str) -> Iterator[Output]:
        room = self.rooms.room(name) if name else _current(member)
        yield Reply(f"* in {room}: {_listed(room.members, len(room.members), ' ')}")

    def _rooms(self, member: Member, _: str) -> Iterator[Output]:
        rooms = self.rooms.rooms
        described = (f"{room} ({len(room.members)}) {room.topic:.60}" for room in rooms.values())
        yield Reply("* rooms:\n*   " + _listed(described, len(rooms), "\n*   "))

    def _join(self, member: Member, name: str) -> Iterator[Output]:
        if not name:
            yield Reply("! /join needs a room: /join ROOM")
            return
        news = self.rooms.join(member, name)
        room = self.rooms.room(name)
        if not news:
            yield Reply(f"* you speak in {room} now")
            return
        yield from news
        if room.topic:
            yield Reply(f"* {room} is about: {room.topic}")
        yield from self._who(member, name)

    def _leave(self, member: Member, name: str) -> Iterator[Output]:
        room = self.rooms.room(name) if name else _current(member)
        yield from self.rooms.leave(member, room)
        if member.rooms:
            yield Reply(f"* you speak in {_current(member)} now")

    def _topic(self, member: Member, topic: str) -> Iterator[Output]:
        room = _current(member)
        if topic:
            yield from self.rooms.set_topic(member, room, "" if topic == "-" else topic)
        else:
            yield Reply(f"* {room} is about: {room.topic or 'nothing in particular'}")

    def _nick(self, member: Member, name: str) -> Iterator[Output]:
        if not name:
            yield Reply("! /nick needs a name: /nick NAME")
            return
        yield from self.rooms.rename(member, name)

    def _help(self, member: Member, _: str) -> Iterator[Output]:
        yield Reply(HELP)

    def _quit(self, member: Member | None, words: str) -> Iterator[Output]:
        yield from self.leave(f"quit: {words}" if words else "quit")
        yield Reply("* Goodbye.")
        yield Ended()


COMMANDS: dict[str, Callable[[Session, Member, str], Iterator[Output]]] = {
    "/help": Session._help,
    "/join": Session._join,
    "/leave": Session._leave,
    "/me": Session._me,
    "/msg": Session._msg,
    "/nick": Session._nick,
    "/quit": Session._quit,
    "/rooms": Session._rooms,
    "/topic": Session._topic,
    "/who": Session._who,
}


def _current(member: Member) -> Room:
    """Return the room that a member speaks in: the one joined last."""
    if not member.rooms:
        raise Refused(Why.IN_NO_ROOM)
    return next(reversed(member.rooms.values()))


def _listed(items: Iterable[object], count: int, separator: str) -> str:
    shown = separator.join(map(str, islice(items, LISTED)))
    return f"{shown}{separator}… and {count - LISTED} more" if count > LISTED else shown
