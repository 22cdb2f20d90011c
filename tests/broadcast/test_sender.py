"""The sender: numbers, seals, parity and heartbeats; one by one and in batches alike."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from netkit.feeds.format import SIZE, Flag, Header, Kind, unpack
from netkit.feeds.parity import OVERHEAD, Parity, Restored, Restorer
from netkit.feeds.sealing import Ed25519Sealing, HmacSeal, Sealing
from netkit.servers.broadcast.batch import MOST, MOST_BYTES
from netkit.servers.broadcast.routes import Route
from netkit.servers.broadcast.sender import Beats, Sender
from netkit.servers.broadcast.transmitter import Transmitter, runs
from netkit.servers.broadcast.window import Window

SEALINGS: dict[str, Sealing | None] = {
    "none": None,
    "hmac": HmacSeal(bytes(32)),
    "ed25519": Ed25519Sealing(Ed25519PrivateKey.from_private_bytes(bytes(32))),
}
BEATS = Beats(first=0.2, longest=1.0, ends=3)


def sender(kept: int = 0, data: int = 0, parity: int = 1, sealing: Sealing | None = None) -> Sender:
    return Sender(
        7, 9, 0.0,
        sealing=sealing,
        window=Window(kept) if kept else None,
        parity=Parity(data, parity) if data else None,
        beats=BEATS,
    )  # fmt: skip


def test_numbers_from_one() -> None:
    feed = sender()
    assert (feed.sequence, feed.following) == (0, 1)
    first = feed.send([b"a", b"b"], now=1, time=111)
    second = feed.send([b"c"], now=2, time=222)
    assert first == [
        Header(Kind.DATA, 7, 9, 1, 111).pack() + b"a",
        Header(Kind.DATA, 7, 9, 2, 111).pack() + b"b",
    ]
    assert second == [Header(Kind.DATA, 7, 9, 3, 222).pack() + b"c"]
    assert feed.sequence == 3
    assert feed.overhead == SIZE


def test_how_many_may_be_asked_for() -> None:
    feed = sender(kept=3)
    told = [unpack(*feed.send([b"x"], 0, 0)).extra for _ in range(6)]
    assert told == [0, 1, 2, 3, 3, 3]
    # In one call they are all told that of its last.
    again = sender(kept=3)
    assert [unpack(each).extra for each in again.send([b"x"] * 3, 0, 0)] == [2, 2, 2]


def test_what_was_sent_is_kept_as_it_was_sent() -> None:
    window = Window(10)
    feed = Sender(7, 9, 0.0, sealing=SEALINGS["hmac"], window=window)
    out = feed.send([b"a", b"bb"], 0, 0)
    assert [window.find(1), window.find(2)] == out
    assert [unpack(each).flags for each in out] == [Flag.HMAC] * 2
    batch, _ = feed.send_batch([b"ccc"] * 4, 0, 0)
    feed.send_batch([b"ddd"] * 4, 0, 1)
    assert b"".join(window.find(number) or b"" for number in (3, 4, 5, 6)) == batch.buffer


def test_silence_is_told() -> None:
    feed = sender(kept=10)
    feed.send([b"x"] * 2, now=10, time=0)
    assert feed.deadline == 10.2
    assert feed.tick(10.1, 0) == []
    assert feed.tick(10.2, 55) == [Header(Kind.HEARTBEAT, 7, 9, 2, 55, extra=2).pack()]
    pauses = []
    for _ in range(4):
        before = feed.deadline
        assert before is not None
        assert len(feed.tick(before, 0)) == 1
        assert feed.deadline is not None
        pauses.append(round(feed.deadline - before, 6))
    assert pauses == [0.8, 1.0, 1.0, 1.0]
    feed.send([b"x"], now=20, time=0)
    assert feed.deadline == 20.2


def test_before_anything_is_sent() -> None:
    feed = sender(kept=10)
    assert feed.deadline == 0.2
    assert feed.tick(0.2, 5) == [Header(Kind.HEARTBEAT, 7, 9, 0, 5).pack()]


def test_the_end_is_told_several_times() -> None:
    feed = sender(sealing=SEALINGS["hmac"])
    feed.send([b"x"], 0, 0)
    out = feed.end(now=1, time=5)
    while feed.deadline is not None:
        out += feed.tick(feed.deadline, 5)
    assert len(out) == BEATS.ends
    ends = Header(Kind.HEARTBEAT, 7, 9, 1, 5, flags=Flag.END | Flag.HMAC)
    assert {unpack(each) for each in out} == {ends}
    assert feed.tick(1000, 5) == []


def test_what_is_too_old_may_not_be_asked_for() -> None:
    feed = Sender(7, 9, 0.0, window=Window(10, seconds=5), beats=BEATS)
    feed.send([b"x"] * 4, now=0, time=0)
    assert [unpack(each).extra for each in feed.tick(4, 0)] == [4]
    assert [unpack(each).extra for each in feed.tick(6, 0)] == [0]
    assert unpack(*feed.send([b"x"], now=7, time=0)).extra == 0


def test_parity_follows_its_block() -> None:
    feed = sender(data=2, parity=2, sealing=SEALINGS["hmac"])
    out = feed.send([b"a", b"bb", b"ccc"], now=0, time=77)
    kinds = [unpack(each).kind for each in out]
    assert kinds == [Kind.DATA, Kind.DATA, Kind.PARITY, Kind.PARITY, Kind.DATA]
    assert [unpack(each).sequence for each in out] == [1, 2, 1, 1, 3]
    assert feed.overhead == SIZE + 16 + OVERHEAD == len(out[2]) - len(b"bb")
    rest = feed.tick(0.2, 78)
    assert [unpack(each).kind for each in rest] == [Kind.PARITY, Kind.PARITY, Kind.HEARTBEAT]
    assert unpack(rest[0]).extra == 1 << 16 | 2 << 8
    assert [unpack(each).kind for each in feed.end(1, 0)] == [Kind.HEARTBEAT]


def test_a_listener_restores_what_the_sender_protects() -> None:
    feed = sender(data=4, parity=2, sealing=SEALINGS["hmac"])
    out = feed.send([b"a", b"bb", b"ccc", b"dddd"], now=0, time=77)
    restorer = Restorer()
    got = []
    for datagram in (out[0], out[3], *out[4:]):
        header = unpack(datagram)
        if header.kind is Kind.DATA:
            got += restorer.keep(header.sequence, 1, datagram, len(datagram), 16)
        else:
            got += restorer.parity(header.sequence, header.extra, datagram[SIZE:-16])
    assert got == [Restored(2, 77, b"bb"), Restored(3, 77, b"ccc")]


@settings(deadline=None)
@given(
    st.integers(0, 30),
    st.sampled_from(list(SEALINGS)),
    st.sampled_from([0, 4, 8]),
    st.sampled_from([0, 3]),
    st.lists(
        st.tuples(st.integers(1, 8) | st.sampled_from([200, 300, MOST]), st.integers(0, 2**64 - 1)),
        max_size=6,
    ),
    st.integers(0, 2**63),
)
def test_a_batch_is_what_one_by_one_would_be(
    size: int, seal: str, kept: int, data: int, calls: list[tuple[int, int]], start: int
) -> None:
    slow, fast = (sender(kept, data, 1, SEALINGS[seal]) for _ in range(2))
    if not kept:
        slow.sequence = fast.sequence = start
    for now, (count, time) in enumerate(calls):
        payloads = [bytes([now % 256, at % 256] * 15)[:size] for at in range(count)]
        singly = slow.send(payloads, now, time)
        batch, parity = fast.send_batch(payloads, now, time)
        assert batch.buffer == b"".join(each for each in singly if unpack(each).kind is Kind.DATA)
        assert parity == [each for each in singly if unpack(each).kind is Kind.PARITY]
        assert (slow.sequence, slow.deadline) == (fast.sequence, fast.deadline)
        if slow._window and fast._window:
            for number in range(slow.sequence + 2):
                assert slow._window.find(number) == fast._window.find(number)
    assert slow.end(99, 1) == fast.end(99, 1)


@given(st.lists(st.sampled_from([b"", b"a", b"b", b"ccc"]), max_size=20), st.integers(1, 5))
def test_payloads_go_out_in_runs_of_one_length(payloads: list[bytes], most: int) -> None:
    found = list(runs(payloads, lambda size: most + size))
    assert [each for run in found for each in run] == payloads
    for run in found:
        assert len(set(map(len, run))) == 1
        assert len(run) <= most + len(run[0])
    # None could have taken in the next one's first.
    for run, following in pairwise(found):
        assert len(run[0]) != len(following[0]) or len(run) == most + len(run[0])


class Written:
    """A way that takes all."""

    free = True

    def __init__(self) -> None:
        self.runs: list[tuple[int, int]] = []

    def send_run(self, run: bytes, size: int) -> None:
        """See `Route`."""
        self.runs.append((len(run), size))


async def test_batches_are_bounded_in_number_and_bytes() -> None:
    way, transmitter = Written(), Transmitter(sender(), None)
    transmitter.ways.append(cast(Route, way))
    await transmitter.send([bytes(60_000)] * 50)
    assert len(way.runs) == 3
    assert max(length for length, _ in way.runs) <= MOST_BYTES
    await transmitter.send([b"a"] * (MOST + 2))
    assert [length // size for length, size in way.runs[3:]] == [MOST, 2]
