"""Many senders, restarts, replays, and what is no datagram of ours."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.clients.listen.common import Common
from netkit.clients.listen.events import Begun, Delivered, End, Ended, Event, Identity, Lost
from netkit.clients.listen.feeds import PAST, QUIET, Feeds
from netkit.feeds.format import SIZE, Flag, Header, Kind
from netkit.feeds.ranges import Range, pack
from netkit.feeds.sealing import HmacSeal
from tests.broadcast.simulation import ADDRESS

ELSEWHERE = ("192.0.2.99", 9)


def feeds(senders: int = 64, key: bytes | None = None) -> Feeds:
    opening = HmacSeal(key) if key else None
    return Feeds(Common(random.Random(1)), opening=opening, senders=senders)


def data(sender: int, epoch: int, number: int, extra: int = 0) -> bytes:
    return Header(Kind.DATA, sender, epoch, number, 0, extra).pack() + b"payload"


def hear(it: Feeds, *datagrams: bytes, now: float = 0.0) -> list[Event]:
    told = []
    for datagram in datagrams:
        told += it.receive(datagram, ADDRESS, now, 0)
    return told


def numbers(events: list[Event], sender: int = 1) -> list[int]:
    delivered = [event for event in events if isinstance(event, Delivered)]
    return [event.sequence for event in delivered if event.feed.sender == sender]


def test_senders_do_not_mix() -> None:
    it = feeds()
    told = hear(it, data(1, 5, 1), data(2, 5, 10), data(1, 5, 2), data(2, 5, 11))
    assert numbers(told, 1) == [1, 2]
    assert numbers(told, 2) == [10, 11]
    assert [feed.order.lost for feed in it] == [0, 0]


def test_a_restart_ends_the_feed_and_settles_its_loss() -> None:
    it = feeds()
    told = hear(it, data(1, 5, 1), data(1, 5, 4), data(1, 6, 1))
    old, new = Identity(1, 5), Identity(1, 6)
    assert [(type(event), event.feed) for event in told] == [
        (Begun, old), (Delivered, old), (Lost, old), (Delivered, old), (Ended, old),
        (Begun, new), (Delivered, new),
    ]  # fmt: skip
    assert told[4] == Ended(old, End.RESTARTED)
    assert it.find(old) is None
    assert it.find(new) is not None


def test_a_lower_epoch_is_a_replay() -> None:
    it = feeds()
    hear(it, data(1, 6, 1))
    assert hear(it, data(1, 5, 2), data(1, 5, 3)) == []
    assert it.rejected == {"replayed": 2}
    assert numbers(hear(it, data(1, 6, 2))) == [2]


def test_there_is_room_for_so_many_senders() -> None:
    it = feeds(senders=2)
    assert hear(it, data(1, 5, 1), data(2, 5, 1), now=0.0)
    assert hear(it, data(3, 5, 1), now=QUIET - 1) == []
    assert it.rejected == {"crowded": 1}
    hear(it, data(2, 5, 2), now=QUIET - 1)
    told = hear(it, data(3, 5, 1), now=QUIET)
    assert told[0] == Ended(Identity(1, 5), End.QUIET)
    assert numbers(told, 3) == [1]


def test_who_made_way_can_come_back_and_its_past_cannot() -> None:
    it = feeds(senders=1)
    hear(it, data(1, 5, 1), data(1, 5, 2), now=0.0)
    hear(it, data(2, 5, 1), now=QUIET)
    told = hear(it, data(1, 5, 1), data(1, 5, 2), data(1, 5, 3), data(1, 4, 9), now=2 * QUIET)
    assert numbers(told) == [3]
    (feed,) = it
    assert feed.counts.earlier == 2
    assert it.rejected == {"replayed": 1}


def test_endless_senders_take_no_endless_memory() -> None:
    it = feeds(senders=1)
    for sender in range(PAST + 100):
        hear(it, data(sender, 5, 1), now=sender * QUIET)
    assert len(it._past) == PAST
    assert len(list(it)) == 1


def test_asks_go_to_their_senders() -> None:
    it = feeds()
    hear(it, data(1, 5, 1), data(1, 5, 3, 2))
    it.receive(data(2, 5, 1), ELSEWHERE, 0.0, 0)
    it.receive(data(2, 5, 3, 2), ELSEWHERE, 0.0, 0)
    sent = []
    while (at := it.deadline) is not None and at < 0.05:
        assert it.tick(at) == []
        sent += it.outgoing(0)
    assert {(ask[7], address) for ask, address in sent} == {(1, ADDRESS), (2, ELSEWHERE)}


def test_one_pace_for_the_asks_of_all() -> None:
    it = feeds()
    for sender in range(1, 60):
        hear(it, data(sender, 5, 1), data(sender, 5, 3, 2))
    it.tick(1.0)
    assert len(it.outgoing(0)) == 16  # `Patience.burst`


def test_closing_settles_everything() -> None:
    it = feeds()
    hear(it, data(1, 5, 1), data(1, 5, 3), data(2, 5, 1))
    told = it.close()
    assert numbers(told) == [3]
    assert [event.why for event in told if isinstance(event, Ended)] == [End.CLOSED] * 2
    assert sum(feed.order.lost for feed in it) == 1


def test_a_subscription_says_where_a_feed_begins() -> None:
    it = feeds()
    told = it.subscribed(Identity(1, 5), 10, ADDRESS, 0.0)
    assert told == [Begun(Identity(1, 5), 10, ADDRESS)]
    assert numbers(hear(it, data(1, 5, 12))) == []
    told = it.tick(0.2)
    assert told[0] == Lost(Identity(1, 5), 10, 2)
    assert it.subscribed(Identity(1, 5), 50, ADDRESS, 0.0) == []
    assert it.subscribed(Identity(1, 4), 50, ADDRESS, 0.0) == []
    assert it.rejected == {"replayed": 1}


@pytest.mark.parametrize(
    ("datagram", "slug"),
    [
        (b"", "short"),
        (data(1, 1, 1)[: SIZE - 1], "short"),
        (b"XX" + data(1, 1, 1)[2:], "magic"),
        (b"NK\x20" + data(1, 1, 1)[3:], "version"),
        (b"NK\x1f" + data(1, 1, 1)[3:], "kind"),
        (Header(Kind.ASK, 1, 1, 0, 0, 1).pack() + pack([Range(1, 1)]), "kind"),
        (Header(Kind.SUBSCRIBE, 1, 1, 0, 0, 1).pack() + bytes(32), "kind"),
        (Header(Kind.SUBSCRIBED, 1, 1, 0, 0, 1).pack() + bytes(32), "kind"),
        (Header(Kind.DATA, 1, 1, 1, 0, 0, Flag.HMAC).pack() + bytes(15), "seal"),
        (Header(Kind.DATA, 1, 1, 1, 0, 0, Flag.HMAC | Flag.ED25519).pack() + bytes(99), "seal"),
        (data(1, 1, 0), "sequence"),
        (Header(Kind.HEARTBEAT, 1, 1, 1, 0).pack() + b"x", "payload"),
        (Header(Kind.ASKED, 1, 1, 0, 0, 65).pack() + bytes(65 * 12), "ranges"),
        (Header(Kind.ASKED, 1, 1, 0, 0, 1).pack() + pack([Range(2**64 - 1, 1)]) + b"x", "ranges"),
        (Header(Kind.PARITY, 1, 1, 1, 0, 0x01010100).pack() + bytes(20), "parity"),
    ],
)
def test_what_is_malformed_is_counted_by_reason(datagram: bytes, slug: str) -> None:
    it = feeds()
    assert hear(it, datagram) == []
    assert it.rejected == {slug: 1}


SEAL = HmacSeal(bytes(32))


def test_with_a_key_only_what_it_sealed_is_taken() -> None:
    it = feeds(key=bytes(32))
    plain, sealed = data(1, 5, 1), SEAL.seal(data(1, 5, 1))
    other = HmacSeal(bytes(31) + b"x").seal(data(1, 9, 1))
    bent = sealed[:40] + bytes([sealed[40] ^ 1]) + sealed[41:]
    assert hear(it, plain, other, bent, sealed[:-1]) == []
    assert it.rejected == {"unsealed": 1, "forged": 3}
    assert list(it) == []
    told = hear(it, sealed)
    assert [event.payload for event in told if isinstance(event, Delivered)] == [b"payload"]


def test_replays_of_what_is_sealed_are_never_delivered() -> None:
    it = feeds(key=bytes(32))
    sent = [SEAL.seal(data(1, epoch, number)) for epoch in (5, 6) for number in range(1, 20)]
    told = hear(it, *sent)
    assert len(numbers(told)) == 38
    assert hear(it, *sent, *sent) == []
    (feed,) = it
    assert it.rejected == {"replayed": 38}
    assert feed.counts.duplicates == 38


def test_without_a_key_a_seal_is_cut_off() -> None:
    told = hear(feeds(), SEAL.seal(data(1, 5, 1)))
    assert [event.payload for event in told if isinstance(event, Delivered)] == [b"payload"]


FIELDS = st.builds(
    Header,
    st.sampled_from(list(Kind)),
    st.integers(0, 3),
    st.integers(0, 3),
    st.one_of(st.integers(0, 20), st.integers(0, 2**64 - 1)),
    st.integers(0, 2**64 - 1),
    st.one_of(st.integers(0, 3), st.integers(0, 2**32 - 1)),
    st.integers(0, 255).map(Flag),
)
DATAGRAMS = st.one_of(
    st.binary(max_size=80),
    st.builds(lambda header, payload: header.pack() + payload, FIELDS, st.binary(max_size=100)),
    st.builds(lambda header: header.pack() + pack([Range(1, 2**32 - 1)]), FIELDS),
)


@given(st.lists(DATAGRAMS, max_size=40), st.floats(0, 0.05))
def test_whatever_comes_is_counted_or_delivered_once(datagrams: list[bytes], pause: float) -> None:
    it, now, told = feeds(senders=2), 0.0, list[Event]()
    for datagram in datagrams:
        now += pause
        told += hear(it, datagram, now=now)
        told += it.tick(now)
        assert len(it.outgoing(0)) <= 16
    told += it.close()
    seen = [(event.feed, event.sequence) for event in told if isinstance(event, Delivered)]
    assert len(seen) == len(set(seen))
    assert it.rejected.total() + len(seen) <= len(datagrams)
    assert it._common.room.held == 0
