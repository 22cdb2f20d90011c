"""Many at once or one by one: the same messages. And messages by ``async for``."""

from __future__ import annotations

import asyncio
import random
from dataclasses import astuple
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netkit.clients.listen import Message, listen
from netkit.clients.listen import runs as many
from netkit.clients.listen.common import Common
from netkit.clients.listen.feeds import Feeds
from netkit.clients.listen.hearing import Hearing
from netkit.clients.listen.raw import RawHearing
from netkit.errors import NetworkError
from netkit.feeds.format import SIZE, Flag, Header, Kind
from tests.broadcast.hearing import sending

FROM = ("192.0.2.1", 9999)
SENT = 1767225600_000000000


def datagram(sequence: int, size: int, *, kind: Kind = Kind.DATA, epoch: int = 9) -> bytes:
    header = Header(kind, 7, epoch, sequence, SENT + sequence, sequence % 5)
    return header.pack() + bytes([sequence % 256]) * (size if kind is Kind.DATA else 0)


# Sizes of payloads that make datagrams of a multiple of 8, and others.
sizes = st.sampled_from([0, 8, 11, 64])
bursts = st.lists(
    st.tuples(st.integers(-3, 3), st.integers(1, 9), sizes, st.integers(0, 20)), max_size=12
)


def views(script: list[tuple[int, int, int, int]]) -> list[tuple[bytes, int]]:
    """Runs of datagrams that jump by so many, with now and then one in them that is another."""
    found, following = [], 5
    for jump, count, size, odd in script:
        first = max(1, following + jump)
        pieces = [datagram(number, size) for number in range(first, first + count)]
        if odd < count:
            pieces[odd] = datagram(first + 1, size, epoch=8)
        found.append((b"".join(pieces), SIZE + size))
        following = first + count
    return found


@settings(deadline=None)
@given(bursts)
def test_what_comes_at_once_is_heard_as_if_it_came_one_by_one(
    script: list[tuple[int, int, int, int]],
) -> None:
    async def heard(*, at_once: bool) -> tuple[list[Any], dict[str, int], list[int]]:
        messages: list[Message] = []
        feeds = Feeds(Common(random.Random(1)))
        ear = Hearing(feeds, messages.extend)
        for view, size in views(script):
            if at_once:
                ear.hear_run(memoryview(view), size, FROM, unsent)
            else:
                for at in range(0, len(view), size):
                    ear.hear(view[at : at + size], FROM, unsent)
        ear.close()
        counts = [
            figure
            for feed in feeds
            for figure in (feed.order.delivered, feed.order.lost, *astuple(feed.counts))
        ]
        return [each._replace(latency=None) for each in messages], dict(feeds.rejected), counts

    assert asyncio.run(heard(at_once=True)) == asyncio.run(heard(at_once=False))


def unsent(_: bytes, __: object) -> None:
    """Nothing is asked for here."""


@pytest.mark.parametrize("size", [SIZE, 40, 43])
def test_runs_are_read_only_if_all_headers_are_alike(size: int) -> None:
    good = [datagram(number, size - SIZE) for number in range(3, 7)]
    (run,) = many.read(memoryview(b"".join(good)), size)
    assert (run.feed, run.first, run.count) == ((7, 9), 3, 4)
    assert (run.times, run.extra) == ((SENT + 3, SENT + 6), 6 % 5)
    assert run.view == b"".join(good)
    for spoilt in (
        datagram(5, size - SIZE, epoch=10),
        datagram(5, size - SIZE)[:3] + bytes([Flag.HMAC]) + datagram(5, size - SIZE)[4:],
        datagram(5, size - SIZE)[:4] + b"\0\0\0\1" + datagram(5, size - SIZE)[8:],
        datagram(0, size - SIZE),
        bytes(size),
    ):
        together = b"".join([*good[:2], spoilt, *good[3:]])
        assert many.read(memoryview(together), size) == []
    assert many.read(memoryview(good[0])[:-1], size) == []
    assert many.read(memoryview(bytes(size)), size) == []
    assert many.read(memoryview(b""), 0) == []
    assert many.read(memoryview(datagram(0, size - SIZE)), size) == []


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.sampled_from([SIZE, 40, 43]))
def test_they_are_cut_where_a_number_is_missing(numbers: list[int], size: int) -> None:
    view = memoryview(b"".join(datagram(number, size - SIZE) for number in numbers))
    found = many.read(view, size)
    assert b"".join(run.view for run in found) == view
    told = [range(run.first, run.first + run.count) for run in found]
    assert [number for run in told for number in run] == numbers
    assert all(run.stop != following.start for run, following in pairwise(told))
    for run in found:
        assert run.times == (SENT + run.first, SENT + run.first + run.count - 1)


async def test_raw_takes_runs_apart() -> None:
    messages: list[Message] = []
    ear = RawHearing(messages.extend)
    ear.hear_run(memoryview(b"aabbc"), 2, FROM, unsent)
    ear.hear_run(memoryview(b""), 0, FROM, unsent)
    ear.hear(b"d", FROM, unsent)
    assert [each.payload for each in messages] == [b"aa", b"bb", b"c", b"", b"d"]
    assert (ear.delivered, ear.bytes) == (5, 6)
    assert {each.source for each in messages} == {"192.0.2.1:9999"}


async def test_messages_by_async_for() -> None:
    async with listen("127.0.0.1:0") as listener:
        (address,) = listener.reception.addresses
        with sending(int(address.rpartition(":")[2])) as sender:
            for number in (1, 2, 4):
                sender.data(number, b"%d" % number)
            sender.end(4)
        heard = [message async for message in listener]
    assert [(each.sequence, each.payload, each.gap) for each in heard] == [
        (1, b"1", 0), (2, b"2", 0), (4, b"4", 1),
    ]  # fmt: skip
    assert listener.dropped == 0


async def test_leaving_early_leaves_nothing_behind() -> None:
    async with listen("127.0.0.1:0") as listener:
        (address,) = listener.reception.addresses
        with sending(int(address.rpartition(":")[2])) as sender:
            sender.data(1, b"first")
            sender.data(9, b"held back", window=100)
            async for message in listener:
                assert message.payload == b"first"
                break


async def test_an_unknown_broadcaster_is_said() -> None:
    with pytest.raises(NetworkError, match="unknown host"):
        async with listen(subscribe="no.such.host.invalid:1"):
            pass
