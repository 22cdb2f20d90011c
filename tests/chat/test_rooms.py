"""The rooms as a transcript: what was asked, who is told what."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

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
from netkit.servers.chat.rooms import Limits, Member, Refused, Rooms, Why


def told(deliveries: list[Delivery]) -> list[tuple[Event, set[str]]]:
    for delivery in deliveries:
        assert len(set(delivery.to)) == len(delivery.to)
    return [(event, {str(member) for member in to}) for event, to in deliveries]


def house(**limits: int) -> Rooms:
    return Rooms(Limits(**limits))


def people(rooms: Rooms, *called: str, room: str = "den") -> list[Member]:
    members = [rooms.enter(name) for name in called]
    for member in members:
        rooms.join(member, room)
    return members


def why(error: pytest.ExceptionInfo[Refused]) -> Why:
    return error.value.why


def test_entering_tells_nobody_and_joining_tells_the_room() -> None:
    rooms = house()
    people(rooms, "alice")
    bob = rooms.enter("Bob")
    assert told(rooms.join(bob, "#DEN")) == [(Joined("#den", "Bob"), {"alice", "Bob"})]
    assert rooms.join(bob, "den") == []


def test_a_speaker_does_not_hear_themselves() -> None:
    rooms = house()
    alice, _, _ = people(rooms, "alice", "bob", "eve")
    den = rooms.room("den")
    assert told(rooms.say(alice, den, " hi ")) == [(Said("#den", "alice", "hi"), {"bob", "eve"})]
    assert told(rooms.say(alice, den, "waves", action=True)) == [
        (Said("#den", "alice", "waves", action=True), {"bob", "eve"})
    ]


def test_a_room_of_one_hears_nothing() -> None:
    rooms = house()
    (alice,) = people(rooms, "alice")
    assert rooms.say(alice, rooms.room("den"), "anyone?") == []


def test_a_private_message_is_told_to_one() -> None:
    rooms = house()
    alice, _, _ = people(rooms, "alice", "bob", "eve")
    assert told(rooms.tell(alice, "BOB", "psst")) == [(Told("alice", "bob", "psst"), {"bob"})]


def test_a_new_name_is_told_to_all_company_once() -> None:
    rooms = house()
    alice, bob, _ = people(rooms, "alice", "bob", "eve")
    rooms.join(alice, "attic")
    rooms.join(bob, "attic")
    assert told(rooms.rename(alice, "Alicia")) == [
        (Renamed("alice", "Alicia"), {"Alicia", "bob", "eve"})
    ]
    rooms.enter("alice")  # the old name is free again


def test_a_name_may_change_its_letters() -> None:
    rooms = house()
    (alice,) = people(rooms, "alice")
    assert told(rooms.rename(alice, "ALICE")) == [(Renamed("alice", "ALICE"), {"ALICE"})]


def test_whoever_goes_is_missed_once_and_their_rooms_close() -> None:
    rooms = house()
    alice, bob = people(rooms, "alice", "bob")
    rooms.join(alice, "attic")
    rooms.join(bob, "attic")
    rooms.join(bob, "cellar")
    assert told(rooms.depart(bob, "too slow")) == [(Gone("bob", "too slow"), {"alice"})]
    assert list(rooms.rooms) == ["den", "attic"]
    assert rooms.depart(alice, "quit") == []
    assert not rooms.rooms
    assert not rooms.members


def test_leaving_and_topics() -> None:
    rooms = house()
    alice, bob = people(rooms, "alice", "bob")
    den = rooms.room("den")
    assert told(rooms.set_topic(alice, den, "tea\x07")) == [
        (TopicSet("#den", "alice", "tea"), {"alice", "bob"})
    ]
    assert told(rooms.leave(bob, den)) == [(Left("#den", "bob"), {"alice", "bob"})]
    with pytest.raises(Refused, match="you are not in #den") as error:
        rooms.say(bob, den, "still here?")
    assert why(error) is Why.NOT_IN_ROOM


def test_an_announcement_reaches_everybody() -> None:
    rooms = house()
    people(rooms, "alice", "bob")
    rooms.enter("eve")
    assert told(rooms.announce("soup")) == [(Announced("soup"), {"alice", "bob", "eve"})]


@pytest.mark.parametrize("name", ["Alice", "ALICE", "\uff21lice"])
def test_a_taken_name_is_refused(name: str) -> None:
    rooms = house()
    people(rooms, "alice")
    with pytest.raises(Refused, match="is taken") as error:
        rooms.enter(name)
    assert why(error) is Why.NAME_TAKEN


def test_every_limit_is_kept() -> None:
    rooms = house(members=3, rooms=2, rooms_per_member=1, members_per_room=1, topic=3)
    (alice,) = people(rooms, "alice")
    bob, eve = rooms.enter("bob"), rooms.enter("eve")
    with pytest.raises(Refused) as error:
        rooms.enter("mallory")
    assert why(error) is Why.HOUSE_FULL
    with pytest.raises(Refused, match="#den is full") as error:
        rooms.join(bob, "den")
    assert why(error) is Why.ROOM_FULL
    with pytest.raises(Refused) as error:
        rooms.join(alice, "attic")
    assert why(error) is Why.IN_TOO_MANY_ROOMS
    rooms.join(bob, "attic")
    with pytest.raises(Refused) as error:
        rooms.join(eve, "cellar")
    assert why(error) is Why.TOO_MANY_ROOMS
    with pytest.raises(Refused, match="at most 3") as error:
        rooms.set_topic(alice, rooms.room("den"), "four")
    assert why(error) is Why.TOPIC_TOO_LONG


def test_an_answer_about_a_long_name_is_short() -> None:
    with pytest.raises(Refused) as error:
        house().member("x" * 2_000)
    assert len(str(error.value)) < 150


NAMES = st.sampled_from(
    ["ann", "ANN", "bob", "Bob", "\uff42ob", "eve", "stra\u00dfe", "STRASSE", "?"]
)
ROOMS = st.sampled_from(["den", "#DEN", "attic", "Attic", "cellar", "loft", "a b"])
WHO = st.integers(min_value=0, max_value=9)


class House(RuleBasedStateMachine):
    """Anybody does anything; the rules in `rooms` hold after every step."""

    @initialize()
    def open(self) -> None:
        self.limits = Limits(members=4, rooms=3, rooms_per_member=2, members_per_room=3)
        self.rooms = Rooms(self.limits)

    def someone(self, who: int) -> Member | None:
        members = list(self.rooms.members.values())
        return members[who % len(members)] if members else None

    def check(self, deliveries: list[Delivery], *, gone: Member | None = None) -> None:
        for _, to in deliveries:
            assert to
            assert len(set(to)) == len(to)
            assert set(to) <= set(self.rooms.members.values()) - {gone}

    @rule(name=NAMES)
    def enter(self, name: str) -> None:
        try:
            member = self.rooms.enter(name)
        except Refused:
            return
        assert not member.rooms

    @rule(who=WHO, name=NAMES)
    def rename(self, who: int, name: str) -> None:
        if member := self.someone(who):
            before = member.name
            try:
                self.check(self.rooms.rename(member, name))
            except Refused:
                assert member.name == before

    @rule(who=WHO, room=ROOMS)
    def join(self, who: int, room: str) -> None:
        if member := self.someone(who):
            before = set(member.rooms)
            try:
                self.check(self.rooms.join(member, room))
            except Refused:
                assert set(member.rooms) == before
            else:
                assert next(reversed(member.rooms)) == names.fold(room.removeprefix("#"))

    @rule(who=WHO, room=ROOMS)
    def leave(self, who: int, room: str) -> None:
        if member := self.someone(who):
            before = set(member.rooms)
            try:
                self.check(self.rooms.leave(member, self.rooms.room(room)))
            except Refused:
                assert set(member.rooms) == before
            else:
                assert set(member.rooms) == before - {names.fold(room.removeprefix("#"))}

    @rule(who=WHO, room=ROOMS, text=st.text(max_size=5))
    def say(self, who: int, room: str, text: str) -> None:
        if member := self.someone(who):
            try:
                deliveries = self.rooms.say(member, self.rooms.room(room), text)
            except Refused:
                return
            self.check(deliveries, gone=member)

    @rule(who=WHO)
    def depart(self, who: int) -> None:
        if member := self.someone(who):
            self.check(self.rooms.depart(member, "quit"), gone=member)
            assert not member.rooms

    @invariant()
    def membership_is_symmetrical(self) -> None:
        for member in self.rooms.members.values():
            for key, room in member.rooms.items():
                assert self.rooms.rooms[key] is room
                assert member in room.members
        for room in self.rooms.rooms.values():
            for member in room.members:
                assert member.rooms[room.name.key] is room
                assert self.rooms.members[member.name.key] is member

    @invariant()
    def no_room_is_empty(self) -> None:
        assert all(room.members for room in self.rooms.rooms.values())

    @invariant()
    def keys_are_the_names_folded(self) -> None:
        for key, member in self.rooms.members.items():
            assert key == member.name.key == names.fold(member.name.shown)
        for key, room in self.rooms.rooms.items():
            assert key == room.name.key == names.fold(room.name.shown)

    @invariant()
    def limits_are_kept(self) -> None:
        assert len(self.rooms.members) <= self.limits.members
        assert len(self.rooms.rooms) <= self.limits.rooms
        for member in self.rooms.members.values():
            assert len(member.rooms) <= self.limits.rooms_per_member
        for room in self.rooms.rooms.values():
            assert len(room.members) <= self.limits.members_per_room


TestHouse = House.TestCase
