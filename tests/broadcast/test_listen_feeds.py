"""Whom ``netkit listen`` hears, what it asks them for, and what it takes for theirs."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
from pathlib import Path

import pytest

from netkit.feeds import keys
from netkit.feeds.cookies import Cookies
from netkit.feeds.format import SIZE, Flag, Kind, unpack
from netkit.feeds.ranges import unpack as ranges_of
from netkit.servers.broadcast.subscribers import Limits, Subscribers
from tests.broadcast.hearing import GROUP, LOOPBACK, free_port, hearing, sending
from tests.peers import peer
from tests.runtime.process import LOOPS

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),  # of the test itself
    pytest.mark.parametrize("loop", LOOPS),
]
HERE = f"{LOOPBACK}:0"
offloads = pytest.mark.parametrize("offload", ["--offload", "--no-offload"])


@offloads
async def test_two_listeners_hear_a_group(loop: str, offload: str) -> None:
    where = (f"{GROUP}:{free_port()}", "--interface", LOOPBACK, offload)
    async with hearing(*where, loop=loop) as one, hearing(*where, loop=loop) as two:
        with sending(one.port, GROUP) as sender:
            sender.data(1, b"hello")
            sender.end(1)
        assert await one.output() == await two.output() == b"hello\n"


async def test_several_groups_and_several_senders(loop: str) -> None:
    port = free_port()
    places = (f"{GROUP}:{port}", f"239.255.77.8:{port}", "--interface", "lo", "--json")
    async with hearing(*places, loop=loop, until="239.255.77.8") as it:
        with sending(port, GROUP, number=1) as one, sending(port, "239.255.77.8", number=2) as two:
            one.data(1, b"one")
            two.data(7, b"two")
            assert {json.loads(await it.line())["payload"] for _ in range(2)} == {"one", "two"}
            one.end(1)
            two.end(7)
        assert await it.ended() == 0


async def test_other_sources_are_not_heard(loop: str) -> None:
    where = (f"{GROUP}:{free_port()}", "--interface", LOOPBACK, "--source", "127.0.0.2")
    async with hearing(*where, loop=loop) as it:
        with (
            sending(it.port, GROUP) as other,
            sending(it.port, GROUP, own="127.0.0.2", number=2) as wanted,
        ):
            other.data(1, b"other")
            wanted.data(1, b"wanted")
            wanted.end(1)
        assert await it.output() == b"wanted\n"


@offloads
async def test_asks_for_what_is_missing_and_delivers_it_in_its_place(
    loop: str, offload: str
) -> None:
    async with hearing(HERE, "--json", "--fail-on-loss", offload, loop=loop) as it:
        with sending(it.port) as sender:
            sent = {number: sender.packed(Kind.DATA, number, b"x", 100) for number in range(1, 7)}
            for number in (1, 2, 5):
                sender.send(sent[number])
            header, ask, source = await sender.hear()
            # By unicast, from the socket that hears the data.
            assert source == (LOOPBACK, it.port)
            assert (header.kind, header.sender, header.epoch) == (
                Kind.ASK, sender.number, sender.epoch,
            )  # fmt: skip
            (missing,) = ranges_of(ask[SIZE:], header.extra)
            assert (missing.first, missing.count) == (3, 2)
            for number in (4, 3, 6):
                sender.send(sent[number])
            sender.end(6, 100)
        heard = await it.objects()
        assert await it.ended() == 0
    assert [each["sequence"] for each in heard] == [1, 2, 3, 4, 5, 6]
    assert [each["repaired"] for each in heard] == [False, False, True, True, False, False]
    assert not any(each["gap"] for each in heard)
    assert "lost 0, repaired 2, reordered 0" in it.summary


async def test_asks_for_the_last_ones_too_and_says_what_is_lost_for_good(loop: str) -> None:
    async with hearing(HERE, "--fail-on-loss", loop=loop) as it:
        with sending(it.port) as sender:
            sender.data(1, b"x", 100)
            sender.end(3, 100)
            header, ask, _ = await sender.hear()
            assert [(each.first, each.count) for each in ranges_of(ask[SIZE:], header.extra)] == [
                (2, 2)
            ]
            sender.data(2, b"y", 100)
            it.signal(signal.SIGTERM)
        assert await it.ended() == -signal.SIGTERM
        assert await it.output() == b"x\ny\n"
    assert "2 datagrams" in it.summary
    assert "lost 1 (33.33%), repaired 1" in it.summary


async def test_loss_can_be_the_status(loop: str) -> None:
    async with hearing(HERE, "--fail-on-loss", "--no-print", loop=loop) as it:
        with sending(it.port) as sender:
            for number in (1, 3):
                sender.data(number)
            sender.end(3)
        assert await it.ended() == 1
        assert await it.output() == b""


async def test_raw_takes_what_socat_sends(loop: str) -> None:
    async with hearing("--raw", HERE, "--json", "--count", "2", loop=loop) as it:
        await asyncio.to_thread(
            subprocess.run,
            # At its end it sends a datagram without a byte.
            [peer("socat"), "-u", "-b", "100", "-", f"UDP4:{LOOPBACK}:{it.port},shut-null"],
            input=b"hello\n",
            check=True,
        )
        one, two = await it.objects()
        assert await it.ended() == 0
    assert sorted(one) == ["from", "payload", "time"]
    assert (one["payload"], two["payload"]) == ("hello\n", "")
    assert it.summary.startswith("2 datagrams (6 B)")
    assert "lost" not in it.summary


async def test_a_key_lets_only_the_feed_through(loop: str, tmp_path: Path) -> None:
    (file,) = keys.new(tmp_path / "key", hmac=True)
    seal = keys.load_sealing(file).seal
    async with hearing(HERE, "--key", file, "--stats-json", loop=loop) as it:
        with sending(it.port) as sender:
            first = sender.send(seal(sender.packed(Kind.DATA, 1, b"genuine")))
            sender.data(2, b"unsealed")
            forged = seal(sender.packed(Kind.DATA, 2, b"genuine"))
            sender.send(forged.replace(b"genuine", b"forged!"))
            sender.send(first)
            sender.send(seal(sender.packed(Kind.DATA, 2, b"too")))
            sender.send(seal(sender.packed(Kind.HEARTBEAT, 2, flags=Flag.END)))
        assert await it.output() == b"genuine\ntoo\n"
        assert await it.ended() == 0
    assert it.figures["rejected"] == {"unsealed": 1, "forged": 1}
    assert it.figures["duplicates"] == 1


async def test_rubbish_is_counted_and_never_delivered(loop: str) -> None:
    rng = random.Random(4)
    async with hearing(HERE, "--stats-json", loop=loop) as it:
        with sending(it.port) as sender:
            good = sender.data(1, b"good")
            for _ in range(300):
                spoilt = bytearray(good[: rng.randrange(len(good))])
                for _ in range(min(3, len(spoilt))):
                    spoilt[rng.randrange(min(3, len(spoilt)))] = rng.randrange(256)
                sender.send(bytes(spoilt))
            sender.end(1)
        assert await it.output() == b"good\n"
        assert await it.ended() == 0
    assert sum(it.figures["rejected"].values()) == 300
    assert it.figures["lost"] == 0


@pytest.mark.parametrize("own", [LOOPBACK, "localhost"])
async def test_subscribes_and_leaves(loop: str, own: str) -> None:
    with sending(0) as sender:
        subscribers = Subscribers(sender.number, sender.epoch, Cookies())
        port = sender.sock.getsockname()[1]
        async with hearing("--subscribe", f"{own}:{port}", "--json", loop=loop) as it:

            async def answer() -> Kind:
                header, question, source = await sender.hear()
                said, _ = subscribers.receive(question, source, 0.0, 0, following=7)
                sender.to = source
                sender.send(said.datagram)
                assert header.kind is Kind.SUBSCRIBE
                return unpack(said.datagram).kind

            assert await answer() is Kind.CHALLENGE
            assert await answer() is Kind.SUBSCRIBED
            await it.logged("subscribed: the feed is ours from number 7 on")
            sender.data(8, b"eight")  # the one that was told of was lost
            assert len(subscribers) == 1
            sender.end(8)
            assert await answer() is Kind.SUBSCRIBED  # it leaves
            assert len(subscribers) == 0
            (heard,) = await it.objects()
            assert await it.ended() == 0
    assert (heard["sequence"], heard["gap"], heard["payload"]) == (8, 1, "eight")


async def test_a_refusal_is_one_line(loop: str) -> None:
    with sending(0) as sender:
        subscribers = Subscribers(sender.number, sender.epoch, Cookies(), Limits(most=0))
        port = sender.sock.getsockname()[1]
        async with hearing("--subscribe", f"{LOOPBACK}:{port}", loop=loop) as it:
            for _ in range(2):
                _, question, sender.to = await sender.hear()
                said, _ = subscribers.receive(question, sender.to, 0.0, 0, following=7)
                sender.send(said.datagram)
            assert await it.ended() == 1
    assert it.lines[1:] == [
        f"netkit: error: {LOOPBACK}:{port} refuses: it has as many subscribers as it may have"
    ]
