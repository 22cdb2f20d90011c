"""The listener's side of a subscription, as a transcript and against the sender's side."""

from __future__ import annotations

import random

import pytest

from netkit.clients.listen.events import Identity
from netkit.clients.listen.subscription import (
    MOST_WAIT,
    TRIES,
    Happening,
    Lapsed,
    Left,
    Refused,
    Subscribed,
    Subscription,
    Unanswered,
)
from netkit.feeds.cookies import Cookies
from netkit.feeds.format import CONTROL, SIZE, Header, Kind, MalformedError, Refusal, unpack
from netkit.servers.broadcast.subscribers import Limits, Subscribers

PEER = ("192.0.2.7", 4000)
FEED = Identity(7, 1000)


class Pair:
    """Both sides, a wire between them that can be cut, and a clock."""

    def __init__(self, seconds: int = 60, limits: Limits | None = None) -> None:
        self.now = 0.0
        self.us = Subscription(seconds, random.Random(1), self.now)
        self.restart(limits)
        self.cut = False
        self.sent: list[Header] = []
        self.cookies: list[bytes] = []
        self.told: list[Happening] = []

    def restart(self, limits: Limits | None = None, epoch: int = FEED.epoch) -> None:
        self.them = Subscribers(FEED.sender, epoch, Cookies(), limits)

    def exchange(self) -> None:
        """Carry what is to be sent, and the answers to it, as long as there are any."""
        while out := self.us.outgoing(5):
            for datagram in out:
                assert len(datagram) == CONTROL
                self.sent.append(unpack(datagram))
                self.cookies.append(datagram[SIZE : SIZE + 16])
                if not self.cut:
                    answer, _ = self.them.receive(datagram, PEER, self.now, 5, following=42)
                    self.answer(answer.datagram)

    def answer(self, datagram: bytes) -> None:
        self.told += self.us.receive(unpack(datagram), datagram[SIZE:], self.now)

    def until(self, end: float) -> list[Happening]:
        """Let time pass; what is told."""
        self.exchange()
        while (at := self.us.deadline) is not None and at <= end:
            self.now = at
            self.told += self.us.tick(at)
            self.exchange()
        self.now = end
        told, self.told = self.told, []
        return told


def test_subscribe_challenge_subscribed() -> None:
    it = Pair()
    assert it.until(1.0) == [Subscribed(FEED, 42, 60)]
    first, second = it.sent
    assert it.cookies[0] == bytes(16)
    assert it.cookies[1] != bytes(16)
    assert (first.kind, first.sender, first.epoch, first.extra, first.time) == (5, 0, 0, 60, 5)
    assert first.sequence != second.sequence
    assert it.us.until == 60.0
    assert list(it.them) == [PEER]


def test_it_renews_at_half_of_its_time() -> None:
    it = Pair()
    it.until(0.0)
    it.sent.clear()
    assert it.until(29.9) == []
    assert it.sent == []
    assert it.until(30.0) == []  # a renewal is not told
    (renewal,) = it.sent
    assert (renewal.sender, renewal.epoch) == FEED
    assert it.us.until == 90.0
    it.until(1000.0)
    assert PEER in it.them


def test_an_old_cookie_is_replaced_on_the_way() -> None:
    it = Pair(seconds=300, limits=Limits(seconds=300))
    it.until(0.0)
    it.sent.clear()
    assert it.until(160.0) == []
    assert len(it.sent) == 2  # challenged, and asked again at once
    assert it.us.until == 450.0


def test_it_asks_for_no_more_than_it_can_get() -> None:
    it = Pair(seconds=3600, limits=Limits(seconds=120))
    assert it.until(0.0) == [Subscribed(FEED, 42, 120)]
    assert [header.extra for header in it.sent] == [3600, 120]


def test_lost_questions_are_repeated_with_back_off() -> None:
    it = Pair()
    it.cut = True
    assert it.until(300.0) == [Unanswered(TRIES)]
    assert 12 <= len(it.sent) <= 30
    assert len({header.sequence for header in it.sent}) == 1  # it is one question
    it.cut = False
    assert it.until(300.0 + 1.5 * MOST_WAIT) == [Subscribed(FEED, 42, 60)]


def test_a_renewal_that_gets_lost_is_repeated() -> None:
    it = Pair()
    it.until(29.0)
    it.cut = True
    assert it.until(33.0) == []
    it.cut = False
    assert it.until(60.0) == []
    assert it.us.until is not None
    assert it.us.until >= 90.0


def test_without_renewal_it_lapses_and_begins_anew() -> None:
    it = Pair()
    it.until(29.0)
    it.cut = True
    told = it.until(200.0)
    assert Lapsed() in told
    assert Unanswered(TRIES) in told
    assert it.us.until is None
    it.cut = False
    assert it.until(200.0 + 1.5 * MOST_WAIT) == [Subscribed(FEED, 42, 60)]


def test_a_sender_that_restarted_is_told() -> None:
    it = Pair()
    it.until(29.0)
    it.restart(epoch=2000)
    assert it.until(31.0) == [Subscribed(Identity(7, 2000), 42, 60)]


def test_a_refusal_is_told_and_tried_again() -> None:
    it = Pair(limits=Limits(most=0))
    assert it.until(1.0) == [Refused(Refusal.FULL)]
    assert it.until(MOST_WAIT - 0.1) == []
    it.restart()
    assert it.until(MOST_WAIT) == [Subscribed(FEED, 42, 60)]


def test_leaving() -> None:
    it = Pair()
    it.until(10.0)
    assert it.us.leave(10.0) == []
    assert it.until(10.0) == [Left(confirmed=True)]
    assert it.sent[-1].extra == 0
    assert list(it.them) == []
    assert it.us.deadline is None
    assert it.us.outgoing(0) == []


def test_leaving_with_an_old_cookie() -> None:
    it = Pair()
    it.until(29.0)
    it.restart()
    it.us.leave(29.0)
    assert it.until(29.0) == [Left(confirmed=True)]


def test_leaving_while_nobody_answers_ends_too() -> None:
    it = Pair()
    it.until(10.0)
    it.cut = True
    it.us.leave(10.0)
    assert it.until(100.0) == [Left(confirmed=False)]
    assert it.us.deadline is None


def test_who_was_never_there_has_nothing_to_leave() -> None:
    it = Pair()
    it.cut = True
    it.until(1.0)
    assert it.us.leave(1.0) == [Left(confirmed=False)]
    assert it.us.outgoing(0) == []
    assert it.us.deadline is None


def test_an_answer_to_an_old_question_does_not_end_it() -> None:
    it = Pair()
    it.until(29.0)
    it.us.tick(30.0)
    (renewal,) = it.us.outgoing(0)
    answer, _ = it.them.receive(renewal, PEER, 30.0, 5, following=1)
    it.us.leave(30.0)
    it.answer(answer.datagram)
    assert it.told == []
    assert it.us.strays == 1


def test_answers_to_nothing_are_strays() -> None:
    it = Pair()
    for kind in (Kind.CHALLENGE, Kind.SUBSCRIBED, Kind.REFUSED):
        forged = Header(kind, 7, 1000, 123, 0, 60).pack().ljust(CONTROL, b"\0")
        it.answer(forged)
    it.exchange()
    assert it.us.strays == 3
    it.until(1.0)
    it.answer(Header(Kind.SUBSCRIBED, 7, 1000, it.sent[-1].sequence, 0, 0).pack() + bytes(32))
    assert it.us.strays == 4
    assert it.told == []
    assert it.us.until is not None


def test_challenges_without_end_do_not_make_us_talk_without_pause() -> None:
    it = Pair()
    for second in range(100):
        it.told += it.us.tick(float(second))
        for datagram in it.us.outgoing(0):
            asked = unpack(datagram)
            it.sent.append(asked)
            answer = Header(Kind.CHALLENGE, 7, 1000, asked.sequence, 0, 60).pack()
            it.answer(answer + bytes([second]) * 16 + bytes(16))
    assert len(it.sent) < 20
    assert Unanswered(TRIES) in it.told


@pytest.mark.parametrize("size", [0, 31, 33])
def test_an_answer_of_another_size_is_malformed(size: int) -> None:
    it = Pair()
    header = Header(Kind.CHALLENGE, 7, 1000, 1, 0, 60)
    with pytest.raises(MalformedError, match="size"):
        it.us.receive(header, bytes(size), 0.0)
