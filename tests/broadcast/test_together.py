"""Broadcaster and listener together, with a bad way between them."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
from pathlib import Path

import pytest

from netkit.feeds.format import SIZE, Header, Kind
from tests.broadcast.broadcasting import broadcasting, let_end
from tests.broadcast.hearing import GROUP, LOOPBACK, hearing
from tests.broadcast.relay import Fate, relaying
from tests.runtime.process import COMMAND, LOOPS

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),  # of the test itself
    pytest.mark.parametrize("loop", LOOPS),
]

HERE = f"{LOOPBACK}:0"
BAD = Fate(loss=0.05, duplicate=0.01, reorder=0.01)
PACE = ("--rate", "10000/s")  # which a relay in Python can follow
LINES = [b"%07d" % number + b"x" * (number % 50) for number in range(10_000)]
UNSEALED = Header(Kind.DATA, 1, 1, 1, 1).pack() + b"not of the sender"
TEXT = b"".join(line + b"\n" for line in LINES)


@pytest.mark.parametrize("offload", ["--offload", "--no-offload"])
async def test_what_is_lost_on_the_way_is_repaired(loop: str, offload: str) -> None:
    async with hearing(HERE, offload, "--stats-json", loop=loop) as listener:
        with relaying(listener.port, BAD) as relay:
            to = "{}:{}".format(*relay.front.getsockname())
            send = ("--to", to, "--stdin", *PACE)
            async with broadcasting(*send, loop=loop, stdin=TEXT, held=True) as it:
                assert [await listener.line() for _ in LINES] == TEXT.splitlines(keepends=True)
                let_end(it)
                assert await listener.output() == b""
                assert await listener.ended() == 0
                assert await it.ended() == 0
    figures = listener.figures
    assert (figures["delivered"], figures["lost"]) == (len(LINES), 0)
    assert relay.counts["lost"] > len(LINES) * 0.04
    assert figures["repaired"] > len(LINES) * 0.03  # one that is sent again may be lost again


async def test_without_repair_exactly_what_was_lost_is_missed(loop: str) -> None:
    arguments = ("--no-repair", "--fail-on-loss", "--stats-json", "--hold", "1")
    async with hearing(HERE, *arguments, loop=loop) as listener:
        with relaying(listener.port, BAD, seed=2) as relay:
            to = "{}:{}".format(*relay.front.getsockname())
            async with broadcasting("--to", to, "--stdin", *PACE, loop=loop, stdin=TEXT):
                heard = (await listener.output()).splitlines()
                assert await listener.ended() == 1
    # The first ones may be lost before a listener knows that there is a feed.
    missed_before = int(heard[0][:7])
    assert listener.figures["lost"] == relay.counts["lost"] - missed_before
    assert listener.figures["kernel"] == 0
    assert heard == sorted(heard)
    assert len(heard) == len(LINES) - relay.counts["lost"]


async def test_parity_restores_without_asking(loop: str) -> None:
    arguments = ("--no-repair", "--stats-json", "--hold", "1")
    async with hearing(HERE, *arguments, loop=loop) as listener:
        with relaying(listener.port, Fate(loss=0.01), seed=3) as relay:
            to = "{}:{}".format(*relay.front.getsockname())
            send = ("--to", to, "--stdin", *PACE, "--parity", "8+2")
            async with broadcasting(*send, loop=loop, stdin=TEXT):
                assert (await listener.output()).splitlines() == LINES
    assert listener.figures["restored"] == relay.counts["lost"]


@pytest.mark.parametrize("kind", ["ed25519", "hmac"])
async def test_sealed_and_repaired(loop: str, kind: str, tmp_path: Path) -> None:
    key = tmp_path / "key"
    hmac = ["--hmac"] if kind == "hmac" else []
    subprocess.run([*COMMAND, "keys", "new", *hmac, str(key)], check=True, capture_output=True)
    theirs = key if hmac else key.with_name("key.pub")
    lines = LINES[:1000]
    async with hearing(HERE, "--key", theirs, "--stats-json", loop=loop) as listener:
        with relaying(listener.port, BAD, seed=4) as relay:
            to = "{}:{}".format(*relay.front.getsockname())
            send = ("--to", to, "--stdin", "--rate", "2000/s", "--key", key)
            stdin = b"\n".join([*lines, b""])
            async with broadcasting(*send, loop=loop, stdin=stdin, held=True) as it:
                relay.back.sendto(UNSEALED, (LOOPBACK, listener.port))
                assert [await listener.line() for _ in lines] == [each + b"\n" for each in lines]
                let_end(it)
                assert await listener.output() == b""
    assert listener.figures["lost"] == 0
    assert listener.figures["rejected"] == {"unsealed": 1}


async def test_subscribers_get_what_they_miss(loop: str) -> None:
    send = ("--subscribe", HERE, "--exec", "seq 1 200000", "--rate", "20000/s")
    async with broadcasting(*send, loop=loop) as it:
        await it.logged("listening on")
        arguments = ("--subscribe", f"{LOOPBACK}:{it.ports[0]}", "--count", 5000, "--stats-json")
        async with (
            hearing(*arguments, loop=loop) as one,
            hearing(*arguments, loop=loop) as other,
        ):
            for listener in (one, other):
                numbers = [int(line) for line in (await listener.output()).split()]
                assert numbers == list(range(numbers[0], numbers[0] + 5000))
                assert await listener.ended() == 0
                assert listener.figures["lost"] == 0
        await it.logged("left", 2)


async def test_a_group_on_loopback(loop: str) -> None:
    place = ("--interface", LOOPBACK)
    async with hearing(f"{GROUP}:0", *place, loop=loop) as one:
        to = f"{GROUP}:{one.port}"
        async with hearing(to, *place, loop=loop) as other:
            send = ("--to", to, *place, "--message", "beat {sequence}", "--every", "10ms")
            async with broadcasting(*send, "--count", 5, loop=loop):
                for listener in (one, other):
                    assert (await listener.output()).splitlines() == [
                        b"beat %d" % number for number in range(1, 6)
                    ]


async def test_a_recording_is_replayed_as_it_was(loop: str, tmp_path: Path) -> None:
    file = tmp_path / "feed.jsonl"
    payloads = [os.urandom(20), b"", b"text"]
    stdin = b"".join(len(each).to_bytes(4) + each for each in payloads)
    async with hearing(HERE, "--record", file, "--no-print", loop=loop) as listener:
        send = ("--to", f"{LOOPBACK}:{listener.port}", "--stdin", "--framing", "records")
        async with broadcasting(*send, loop=loop, stdin=stdin):
            assert await listener.ended() == 0
    async with hearing(HERE, "--null", loop=loop) as listener:
        again = ("--to", f"{LOOPBACK}:{listener.port}", "--replay", file)
        async with broadcasting(*again, loop=loop):
            assert await listener.output() == b"".join(each + b"\0" for each in payloads)


async def test_a_restarted_sender_is_a_new_feed(loop: str) -> None:
    async with hearing(HERE, "--keep", "--json", loop=loop) as listener:
        send = ("--to", f"{LOOPBACK}:{listener.port}", "--message", "x", "--sender", "0000002a")
        for _ in range(2):
            async with broadcasting(*send, "--count", 1, loop=loop) as it:
                line = await listener.line()
                assert b'"sequence": 1' in line
                assert await it.ended() == 0
            await asyncio.sleep(1.0)  # an epoch is a second
        assert await listener.stop() == -signal.SIGTERM


async def test_rubbish_is_counted_and_harms_nothing(loop: str) -> None:
    dice = random.Random(5)
    async with hearing(HERE, "--stats-json", loop=loop) as listener:
        with relaying(listener.port, Fate()) as relay:
            front = relay.front.getsockname()
            send = ("--to", "{}:{}".format(*front), "--stdin", "--rate", "2000/s")
            async with broadcasting(*send, loop=loop, stdin=b"".join(TEXT.splitlines(True)[:2000])):
                for _ in range(500):
                    rubbish = bytearray(dice.randbytes(dice.randrange(80)))
                    if len(rubbish) > SIZE and dice.random() < 0.5:
                        rubbish[:3] = b"NK\x2f"
                    relay.back.sendto(rubbish, (LOOPBACK, listener.port))
                    await asyncio.sleep(0)  # a turn: the relay runs in between
                output = await listener.output()
    assert [line for line in output.splitlines() if line in LINES[:2000]] == LINES[:2000]
    assert sum(listener.figures["rejected"].values()) > 100
    assert not listener.complaints()
