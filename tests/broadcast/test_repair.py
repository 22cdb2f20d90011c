"""Repair, as a transcript: asks in, *asked* and the datagrams out, no faster than allowed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.feeds.cookies import Peer
from netkit.feeds.format import SIZE, Flag, Header, Kind, MalformedError, unpack
from netkit.feeds.ranges import Range, pack
from netkit.feeds.ranges import unpack as unpack_ranges
from netkit.feeds.sealing import HmacSeal
from netkit.servers.broadcast.bucket import Bucket
from netkit.servers.broadcast.repair import Counts, Limits, Outgoing, Repair
from netkit.servers.broadcast.window import Window

SENDER, EPOCH = 7, 9
HERE: Peer = ("192.0.2.1", 4000)
THERE: Peer = ("192.0.2.2", 4000)


def sent(number: int) -> bytes:
    return Header(Kind.DATA, SENDER, EPOCH, number, number).pack() + b"x" * 68


def repair(
    kept: int = 100, rate: float = 1e9, limits: Limits | None = None, seal: HmacSeal | None = None
) -> Repair:
    """Numbers 1 to 200 were sent, the last `kept` are in the window."""
    window = Window(kept)
    for _ in range(200):
        window.append(1, 100, sent, 0.0)
    bucket = Bucket(rate, now=0.0, burst=min(rate, 1e6))
    return Repair(SENDER, EPOCH, window, bucket, sealing=seal, limits=limits)


def ask(*ranges: tuple[int, int], sender: int = SENDER, epoch: int = EPOCH) -> bytes:
    header = Header(Kind.ASK, sender, epoch, 0, 0, len(ranges))
    return header.pack() + pack(Range(*each) for each in ranges)


def asked(datagram: bytes) -> list[tuple[int, int]]:
    header = unpack(datagram)
    assert header.kind is Kind.ASKED
    ranges = unpack_ranges(datagram[SIZE:], header.extra)
    return [(each.first, each.count) for each in ranges]


def data(out: list[Outgoing]) -> list[int]:
    """The numbers of the data, each as it was sent first."""
    numbers = []
    for each in out:
        header = unpack(each.datagram)
        if header.kind is Kind.DATA:
            assert each.datagram == sent(header.sequence)
            numbers.append(header.sequence)
    return numbers


def test_asked_then_the_datagrams() -> None:
    service = repair()
    out = service.receive(ask((150, 2), (180, 1)), now=0, time=1234)
    assert unpack(out[0].datagram) == Header(Kind.ASKED, SENDER, EPOCH, 0, 1234, 2)
    assert asked(out[0].datagram) == [(150, 2), (180, 1)]
    assert data(out) == [150, 151, 180]
    assert {each.to for each in out} == {None}
    assert service.counts == Counts(resent=3)
    assert service.deadline(0) is None


def test_asked_is_sealed() -> None:
    seal = HmacSeal(bytes(32))
    (told, *_) = repair(seal=seal).receive(ask((150, 1)), 0, 0)
    assert unpack(told.datagram).flags == Flag.HMAC
    assert seal.open(told.datagram) == SIZE + 12


def test_two_who_ask_for_the_same() -> None:
    service = repair(limits=Limits(hold=0.05))
    assert data(service.receive(ask((150, 3)), 0, 0)) == [150, 151, 152]
    again = service.receive(ask((151, 3)), 0.04, 0)
    assert asked(again[0].datagram) == [(153, 1)]
    assert data(again) == [153]
    assert service.receive(ask((150, 3)), 0.04, 0) == []
    assert service.counts == Counts(resent=4, repeated=5)
    assert data(service.receive(ask((150, 1)), 0.05, 0)) == [150]


def test_one_number_twice_in_one_ask() -> None:
    service = repair()
    assert data(service.receive(ask((150, 2), (150, 2), (151, 2)), 0, 0)) == [150, 151, 152]
    assert service.counts.repeated == 3


def test_what_has_left_the_window_or_never_was() -> None:
    service = repair()
    out = service.receive(ask((99, 3), (200, 2**32 - 1), (2**64 - 1, 1)), 0, 0)
    assert asked(out[0].datagram) == [(101, 1), (200, 1)]
    assert data(out) == [101, 200]
    assert service.counts.gone == 2 + (2**32 - 2) + 1
    assert service.receive(ask((1, 50)), 0, 0) == []


def test_to_a_subscriber_alone() -> None:
    service = repair()
    out = service.receive(ask((150, 2)), 0, 0, to=HERE)
    assert [each.to for each in out] == [HERE, HERE]
    assert data(out) == [150, 151]
    assert len(out) == 2
    # What one subscriber got has helped no other.
    assert data(service.receive(ask((150, 2)), 0, 0, to=THERE)) == [150, 151]
    assert service.receive(ask((150, 2)), 0, 0, to=HERE) == []


def test_what_cannot_be_paid_waits_in_order() -> None:
    service = repair(rate=1000.0, limits=Limits(hold=0.001))  # ten datagrams a second
    first = service.receive(ask((150, 20)), 0, 0)
    assert asked(first[0].datagram) == [(150, 20)]
    numbers = data(first)
    assert numbers == list(range(150, 150 + len(numbers)))
    now = 0.0
    while (deadline := service.deadline(now)) is not None:
        assert deadline > now
        now = deadline + 1e-9
        numbers += data(service.due(now))
    assert numbers == list(range(150, 170))
    assert now == pytest.approx((44 + 20 * 100 - 1000) / 1000, abs=1e-3)


def test_what_waits_is_not_queued_again() -> None:
    service = repair(rate=1000.0, limits=Limits(hold=0.001))
    first = data(service.receive(ask((150, 20)), 0, 0))
    assert len(first) < 20
    assert service.receive(ask((169, 1)), 0.01, 0) == []
    assert service.counts.repeated == 1


def test_what_leaves_the_window_while_it_waits() -> None:
    service = repair(rate=1000.0)
    service.receive(ask((101, 20)), 0, 0)
    resent = service.counts.resent
    window = service._window
    for _ in range(119):
        window.append(1, 100, sent, 0.0)
    assert service.due(0) == []
    assert service.deadline(0) is None
    assert service.counts == Counts(resent=resent, gone=20 - resent)


def test_the_queue_is_bounded() -> None:
    service = repair(rate=1.0, limits=Limits(waiting=10))
    out = service.receive(ask((120, 30)), 0, 0)
    assert asked(out[0].datagram) == [(120, 10)]
    assert service.counts.overflowed == 20
    assert len(service._queue) <= 10


def test_the_work_of_one_ask_is_bounded() -> None:
    service = repair(limits=Limits(numbers=5))
    assert data(service.receive(ask((101, 3), (111, 3), (121, 3)), 0, 0)) == [
        101, 102, 103, 111, 112,
    ]  # fmt: skip
    assert service.counts.overflowed == 4


def test_many_holes_need_more_than_one_asked() -> None:
    service = repair(kept=200)
    service.receive(ask(*((number, 1) for number in range(2, 130, 2))), 0, 0)
    out = service.receive(ask((1, 200)), 0, 0)
    told = [each for each in out if unpack(each.datagram).kind is Kind.ASKED]
    assert [unpack(each.datagram).extra for each in told] == [64, 1]
    named = [
        number
        for each in told
        for first, n in asked(each.datagram)
        for number in range(first, first + n)
    ]
    assert named == data(out)


@pytest.mark.parametrize(
    ("datagram", "slug"),
    [
        (ask((150, 1), sender=8), "stranger"),
        (ask((150, 1), epoch=8), "stranger"),
        (ask((150, 0)), "ranges"),
        (ask(), "ranges"),
        (ask((150, 1))[:-1], "ranges"),
        (ask(*[(150, 1)] * 65), "ranges"),
        (ask((2**64 - 1, 2)), "ranges"),
        (sent(1), "kind"),
        (ask((150, 1))[:31], "short"),
        (b"", "short"),
    ],
)
def test_what_is_counted_and_not_answered(datagram: bytes, slug: str) -> None:
    service = repair()
    with pytest.raises(MalformedError) as caught:
        service.receive(datagram, 0, 0)
    assert caught.value.slug == slug
    assert service.counts == Counts()
    assert service.deadline(0) is None


@given(
    st.lists(
        st.tuples(
            st.lists(st.tuples(st.integers(0, 300), st.integers(1, 2**32 - 1)), max_size=64),
            st.sampled_from([None, HERE, THERE]),
            st.floats(0, 1),
        ),
        max_size=15,
    ),
    st.floats(500, 1e5),
)
def test_never_faster_than_the_rate(
    asks: list[tuple[list[tuple[int, int]], Peer | None, float]], rate: float
) -> None:
    service = repair(rate=rate, limits=Limits(waiting=50, numbers=60))
    now = out = 0.0
    told = 0
    for ranges, to, pause in asks:
        now += pause
        if not ranges:
            continue
        for each in service.receive(ask(*ranges), now, 0, to):
            out += len(each.datagram)
            told += len(each.datagram) if unpack(each.datagram).kind is Kind.ASKED else 0
        # An asked is sent at once, and what is sent again pays for it.
        assert out <= rate * (now + 1) + 100 + told
        assert len(service._queue) <= 50
        assert len(service._known) <= 2 * 50 + 60
