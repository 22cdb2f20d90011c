"""Subscribing, as a transcript; nobody is sent to who did not ask, nor more than he sent."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.feeds.cookies import Cookies, Peer
from netkit.feeds.format import CONTROL, SIZE, Header, Kind, MalformedError, Refusal, unpack
from netkit.servers.broadcast.subscribers import Answer, Change, Event, Limits, Subscribers

HERE: Peer = ("192.0.2.1", 4000)
THERE: Peer = ("192.0.2.2", 4000)


def subscribers(**limits: int) -> Subscribers:
    return Subscribers(7, 9, Cookies(step=60), Limits(**limits))


def question(seconds: int = 30, cookie: bytes = bytes(16), number: int = 5) -> bytes:
    header = Header(Kind.SUBSCRIBE, 0, 0, number, 0, seconds)
    return (header.pack() + cookie).ljust(CONTROL, b"\0")


def ask(to: Subscribers, datagram: bytes, peer: Peer = HERE, now: float = 0.0) -> Answer:
    answer, _ = to.receive(datagram, peer, now, 1234, following=100)
    assert len(answer.datagram) == CONTROL
    return answer


def cookie(to: Subscribers, peer: Peer = HERE, now: float = 0.0) -> bytes:
    answer = ask(to, question(), peer, now)
    assert unpack(answer.datagram).kind is Kind.CHALLENGE
    assert answer.event is None
    return answer.datagram[SIZE : SIZE + 16]


def join(to: Subscribers, peer: Peer = HERE, now: float = 0.0, seconds: int = 30) -> Answer:
    return ask(to, question(seconds, cookie(to, peer, now)), peer, now)


def test_challenge_then_subscribed() -> None:
    service = subscribers()
    challenge = ask(service, question(number=5)).datagram
    assert unpack(challenge) == Header(Kind.CHALLENGE, 7, 9, 5, 1234, 120)
    assert any(challenge[SIZE : SIZE + 16])
    assert not any(challenge[SIZE + 16 :])
    assert list(service) == []
    answer = ask(service, question(30, challenge[SIZE : SIZE + 16], number=6))
    assert unpack(answer.datagram) == Header(Kind.SUBSCRIBED, 7, 9, 6, 1234, 30)
    assert answer.datagram[SIZE:] == (100).to_bytes(8, "big") + bytes(24)
    assert answer.event == Event(Change.JOINED, HERE)
    assert list(service) == [HERE]


def test_another_address_cannot_use_a_cookie() -> None:
    service = subscribers()
    answer = ask(service, question(30, cookie(service, HERE)), THERE)
    assert unpack(answer.datagram).kind is Kind.CHALLENGE
    assert list(service) == []


def test_expiry_and_renewal() -> None:
    service = subscribers()
    join(service, HERE, now=0)
    join(service, THERE, now=1)
    renewed = join(service, HERE, now=20)
    assert renewed.event == Event(Change.RENEWED, HERE)
    assert list(service) == [HERE, THERE]
    assert service.expire(30) == []
    assert service.expire(31) == [Event(Change.EXPIRED, THERE)]
    assert service.expire(49.9) == []
    assert service.expire(50) == [Event(Change.EXPIRED, HERE)]
    assert len(service) == 0


def test_a_cookie_grows_old() -> None:
    service = subscribers()
    old = cookie(service, now=0)
    assert unpack(ask(service, question(30, old), now=119).datagram).kind is Kind.SUBSCRIBED
    assert unpack(ask(service, question(30, old), now=120).datagram).kind is Kind.CHALLENGE


def test_no_longer_than_the_longest() -> None:
    service = subscribers(seconds=60)
    assert unpack(join(service, seconds=2**32 - 1).datagram).extra == 60
    assert service.expire(60) == [Event(Change.EXPIRED, HERE)]


def test_leaving() -> None:
    service = subscribers()
    join(service)
    left = join(service, seconds=0)
    assert unpack(left.datagram).kind is Kind.SUBSCRIBED
    assert unpack(left.datagram).extra == 0
    assert left.event == Event(Change.LEFT, HERE)
    assert list(service) == []
    again = join(service, seconds=0)
    assert again.event is None
    assert unpack(again.datagram).extra == 0


def test_nobody_can_sign_off_another() -> None:
    service = subscribers()
    join(service, HERE)
    assert unpack(ask(service, question(0)).datagram).kind is Kind.CHALLENGE
    assert list(service) == [HERE]


def test_full() -> None:
    service = subscribers(most=2)
    join(service, ("192.0.2.1", 1))
    join(service, ("192.0.2.2", 1), now=10)
    refused = join(service, ("192.0.2.3", 1), now=10)
    assert unpack(refused.datagram) == Header(Kind.REFUSED, 7, 9, 5, 1234, Refusal.FULL)
    assert not any(refused.datagram[SIZE:])
    assert refused.event == Event(Change.REFUSED, ("192.0.2.3", 1))
    assert join(service, ("192.0.2.1", 1), now=10).event == Event(Change.RENEWED, ("192.0.2.1", 1))
    # The one whose time is over makes room, and is told of.
    late = question(30, cookie(service, ("192.0.2.3", 1), 39))
    answer, expired = service.receive(late, ("192.0.2.3", 1), 40, 0, 1)
    assert answer.event == Event(Change.JOINED, ("192.0.2.3", 1))
    assert [event.change for event in expired] == [Change.EXPIRED] * 2


def test_many_behind_one_address() -> None:
    service = subscribers(most_per_address=2)
    for port in (1, 2):
        join(service, ("192.0.2.1", port))
    assert join(service, ("192.0.2.1", 3)).event == Event(Change.REFUSED, ("192.0.2.1", 3))
    join(service, ("192.0.2.1", 1), seconds=0)
    assert join(service, ("192.0.2.1", 3)).event == Event(Change.JOINED, ("192.0.2.1", 3))
    assert ("192.0.2.1", 3) in service
    service.expire(1000)
    assert not service._of_address


@pytest.mark.parametrize(
    ("datagram", "slug"),
    [
        (question()[:-1], "size"),
        (question() + b"\0", "size"),
        (question()[:-1] + b"\1", "size"),
        (question()[:20], "short"),
        (b"", "short"),
        (Header(Kind.ASK, 0, 0, 0, 0, 1).pack().ljust(CONTROL, b"\0"), "kind"),
        (Header(Kind.CHALLENGE, 0, 0, 0, 0, 1).pack().ljust(CONTROL, b"\0"), "kind"),
        (b"XX" + question()[2:], "magic"),
    ],
)
def test_what_is_not_answered(datagram: bytes, slug: str) -> None:
    with pytest.raises(MalformedError) as caught:
        subscribers().receive(datagram, HERE, 0, 0, 1)
    assert caught.value.slug == slug


PEERS = st.sampled_from([(f"192.0.2.{host}", port) for host in range(3) for port in (1, 2)])
QUESTIONS = st.builds(
    question, st.sampled_from([0, 1, 30, 2**32 - 1]), st.binary(min_size=16, max_size=16)
)
ANYTHING = st.binary(max_size=100) | st.binary(max_size=100).map(lambda rest: b"NK\x15" + rest)


@given(
    st.lists(st.tuples(QUESTIONS | ANYTHING | st.none(), PEERS, st.floats(0, 100)), max_size=40),
    st.integers(0, 2**32),
)
def test_never_more_bytes_out_than_in(
    events: list[tuple[bytes | None, Peer, float]], seed: int
) -> None:
    service = subscribers(most=3, most_per_address=2)
    dice = random.Random(seed)
    now, cookies = 0.0, [bytes(16)]
    proven, slugs = set(), set()
    for datagram, peer, pause in events:
        now += pause
        sent = (
            question(dice.choice([0, 30]), dice.choice(cookies)) if datagram is None else datagram
        )
        try:
            answer, _ = service.receive(sent, peer, now, 0, 1)
        except MalformedError as error:
            slugs.add(error.slug)
            continue
        assert len(answer.datagram) <= len(sent)
        header = unpack(answer.datagram)
        if header.kind is Kind.CHALLENGE:
            cookies.append(answer.datagram[SIZE : SIZE + 16])
        else:
            proven.add(peer)
            assert sent[SIZE : SIZE + 16] in cookies
        assert len(service) <= 3
        assert set(service) <= proven
    assert slugs <= {"short", "magic", "version", "kind", "size"}
