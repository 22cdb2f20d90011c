"""The plain dialect as a transcript: `>` is what somebody typed, the rest what is read."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from netkit.servers.chat.events import Delivery
from netkit.servers.chat.flood import Bucket
from netkit.servers.chat.framing import Framing, TooLong
from netkit.servers.chat.lines import Ended, Entered, Reply, Session, decode, encode, render
from netkit.servers.chat.rooms import Limits, Member, Rooms


class House:
    """Sessions over one set of rooms, with what each has read."""

    def __init__(self, limits: Limits | None = None, burst: int = 1_000) -> None:
        self.rooms = Rooms(limits or Limits())
        self.burst = burst
        self.read: dict[Session, list[str]] = {}
        self.members: dict[Member, Session] = {}

    def connect(self, name: str = "") -> Session:
        bucket = Bucket(1.0, self.burst, 0.0)
        session = Session(self.rooms, motd="Hello.", lobby="lobby", bucket=bucket)
        self.read[session] = []
        if name:
            self.type(session, name)
            for read in self.read.values():
                read.clear()
        return session

    def type(self, session: Session, *lines: str | bytes | TooLong, now: float = 0.0) -> None:
        typed = [line.encode() if isinstance(line, str) else line for line in lines]
        for output in session.receive(typed, now):
            match output:
                case Reply(text):
                    self.read[session] += text.split("\n")
                case Entered(member):
                    self.members[member] = session
                case Ended():
                    self.read[session].append("(closed)")
                case Delivery(event, to):
                    for member in to:
                        self.read[self.members[member]].append(render(event))


def test_the_first_line_is_a_name() -> None:
    house = House()
    alice = house.connect()
    assert list(alice.greet()) == [Reply("* Hello."), Reply("* What is your name?")]
    house.type(alice, "/who", "al ice", "alice\r")
    assert house.read[alice] == [
        "! first your name, please: just type it",
        "! a name has no spaces, not even ones that look otherwise",
        "* Hello alice. /help lists the commands.",
        "* alice joined #lobby",
        "* in #lobby: alice",
    ]


def test_two_people_talk() -> None:
    house = House()
    alice, bob = house.connect("alice"), house.connect("bob")
    house.type(alice, "hello \x1b[31mbob\u202e", "/me waves", "//slash", "/msg BOB psst", "   ")
    assert house.read[bob] == [
        "#lobby <alice> hello [31mbob",
        "#lobby * alice waves",
        "#lobby <alice> /slash",
        "(private) <alice> psst",
    ]
    assert house.read[alice] == ["* told bob in private"]


def test_rooms_and_topics() -> None:
    house = House()
    alice, bob = house.connect("alice"), house.connect("bob")
    house.type(alice, "/join den", "/topic tea", "/topic", "/rooms", "/join #lobby", "hi")
    assert house.read[alice] == [
        "* alice joined #den",
        "* in #den: alice",
        "* alice set the topic of #den: tea",
        "* #den is about: tea",
        "* rooms:",
        "*   #lobby (2) ",
        "*   #den (1) tea",
        "* you speak in #lobby now",
    ]
    house.type(bob, "/join DEN", "/topic -", "/leave", "/leave", "anyone?")
    assert house.read[bob] == [
        "#lobby <alice> hi",
        "* bob joined #den",
        "* #den is about: tea",
        "* in #den: alice bob",
        "* bob cleared the topic of #den",
        "* bob left #den",
        "* you speak in #lobby now",
        "* bob left #lobby",
        "! you are in no room: /join one",
    ]


def test_names_change_and_people_go() -> None:
    house = House()
    alice, bob = house.connect("alice"), house.connect("bob")
    house.type(bob, "/nick ALICE", "/nick robert", "/quit so long", "ignored")
    assert house.read[bob] == [
        "! the name ALICE is taken",
        "* bob is now robert",
        "* Goodbye.",
        "(closed)",
    ]
    assert house.read[alice] == ["* bob is now robert", "* robert left (quit: so long)"]


def test_what_is_missing_or_unknown_is_said() -> None:
    house = House()
    alice = house.connect("alice")
    house.type(
        alice, "/join", "/nick", "/msg bob", "/msg bob hi", "/who attic", "/dance", TooLong.LINE
    )
    assert house.read[alice] == [
        "! /join needs a room: /join ROOM",
        "! /nick needs a name: /nick NAME",
        "! /msg needs a name and a text: /msg NAME TEXT",
        "! nobody here is called bob",
        "! there is no room #attic",
        "! there is no command /dance: /help lists them",
        "! that line was too long and nobody saw it",
    ]


def test_every_command_in_the_help_exists() -> None:
    house = House()
    alice = house.connect("alice")
    house.type(alice, "/help")
    commands = [line.split()[1] for line in house.read[alice] if line.startswith("* /")]
    for command in commands:
        if not command.startswith("//"):
            house.type(alice, command)
    assert len(commands) == 10
    assert not any("no command" in line for line in house.read[alice])


def test_a_full_house_says_so() -> None:
    house = House(Limits(members=1))
    house.connect("alice")
    bob = house.connect()
    house.type(bob, "bob", "bob")
    assert house.read[bob] == [
        "! there are too many people here already, come back later",
        "(closed)",
    ]


def test_a_full_lobby_still_lets_in() -> None:
    house = House(Limits(members_per_room=1))
    house.connect("alice")
    bob = house.connect()
    house.type(bob, "bob", "/join den")
    assert house.read[bob][1:3] == ["! #lobby is full", "* bob joined #den"]


def test_a_flood_is_cut_with_one_line() -> None:
    house = House(burst=4)
    alice, bob = house.connect("alice"), house.connect("bob")
    notice = "! too fast: what is beyond 4 lines at once and 1 a second is dropped"
    house.type(alice, *["hi"] * 100)
    house.type(alice, *["hi"] * 100)
    assert house.read[bob] == ["#lobby <alice> hi"] * 3
    assert house.read[alice] == [notice]
    house.type(alice, "again", now=4.0)
    house.type(alice, *["hi"] * 100, now=4.0)
    assert house.read[bob][3:] == ["#lobby <alice> again", *["#lobby <alice> hi"] * 3]
    assert house.read[alice] == [notice, notice]


def test_a_crowd_is_listed_in_part() -> None:
    house = House()
    for number in range(103):
        house.rooms.join(house.rooms.enter(f"n{number}"), "crowd")
    alice = house.connect("alice")
    house.type(alice, "/who crowd")
    assert house.read[alice][0].endswith(" n99 … and 3 more")


def test_lines_end_in_cr_lf() -> None:
    assert encode("one\ntwo") == b"one\r\ntwo\r\n"


def test_bad_utf8_is_replaced() -> None:
    assert decode(b"caf\xe9 \x00ok\r") == "caf\ufffd ok"


LINE = st.binary(max_size=40) | st.tuples(
    st.sampled_from([b"/join ", b"/msg bob ", b"/nick ", b"/topic ", b"/me ", b"/who ", b"/quit "]),
    st.binary(max_size=20),
).map(b"".join)


@given(st.lists(LINE, max_size=20), st.integers(min_value=1, max_value=50))
def test_no_bytes_break_a_session_or_reach_anyone_as_control(lines: list[bytes], cut: int) -> None:
    house = House(Limits(topic=30, name=12))
    bob = house.connect("bob")
    mallory = house.connect()
    framing = Framing(64)
    data = b"\n".join([b"mallory", *lines, b""])
    for start in range(0, len(data), cut):
        house.type(mallory, *framing.feed(data[start : start + cut]))
    for line in house.read[bob] + house.read[mallory]:
        kinds = {unicodedata.category(character) for character in line}
        assert not kinds & {"Cc", "Cs", "Zl", "Zp"}
        assert line.startswith(("#", "* ", "! ", "(private) <mallory>", "(private) <", "(closed)"))
        assert "\u202e" not in line
