"""``netkit listen`` as a process, hearing datagrams that the tests make."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import random
import signal
import subprocess
from pathlib import Path

import pytest

from netkit.feeds import keys, recording
from netkit.feeds.cookies import Cookies
from netkit.feeds.format import SIZE, Flag, Kind, unpack
from netkit.feeds.ranges import unpack as ranges_of
from netkit.servers.broadcast.subscribers import Limits, Subscribers
from tests.broadcast.hearing import GROUP, LOOPBACK, free_port, hearing, sending
from tests.peers import peer
from tests.runtime.process import COMMAND, LOOPS

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),  # of the test itself
    pytest.mark.parametrize("loop", LOOPS),
]
HERE = f"{LOOPBACK}:0"
offloads = pytest.mark.parametrize("offload", ["--offload", "--no-offload"])


@offloads
async def test_prints_payloads_in_order_and_ends_with_the_feed(loop: str, offload: str) -> None:
    async with hearing(HERE, offload, loop=loop) as it:
        with sending(it.port) as sender:
            for number in (1, 3, 2, 4, 4):
                sender.data(number, b"hello %d" % number)
            sender.end(4)
        assert await it.output() == b"hello 1\nhello 2\nhello 3\nhello 4\n"
        assert await it.ended() == 0
    assert it.summary.startswith("4 datagrams (28 B) in ")
    assert "lost 0, repaired 0, reordered 1, duplicates 1, jitter" in it.summary
    assert "rejected" not in it.summary


async def test_every_byte_goes_into_a_pipe_unchanged(loop: str) -> None:
    payloads = [b"\x1b[2J", b"\xff\x00", b"line\n", "grüße".encode()]
    async with hearing(HERE, loop=loop) as it:
        with sending(it.port) as sender:
            for number, payload in enumerate(payloads, 1):
                sender.data(number, payload)
            sender.end(len(payloads))
        assert await it.output() == b"\x1b[2J\n\xff\x00\nline\ngr\xc3\xbc\xc3\x9fe\n"


@pytest.mark.parametrize(
    ("flag", "output"), [("--null", b"a\0b\n\0"), ("-0", b"a\0b\n\0"), ("--no-newline", b"ab\n")]
)
async def test_other_ends_of_a_payload(loop: str, flag: str, output: bytes) -> None:
    async with hearing(HERE, flag, loop=loop) as it:
        with sending(it.port) as sender:
            sender.data(1, b"a")
            sender.data(2, b"b\n")
            sender.end(2)
        assert await it.output() == output


async def test_a_terminal_is_not_driven(loop: str) -> None:
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "listen", HERE, "--loop", loop, stdout=theirs, stderr=subprocess.PIPE
    )
    os.close(theirs)
    assert process.stderr is not None
    port = int((await process.stderr.readline()).rpartition(b":")[2])
    with sending(port) as sender:
        sender.data(1, b"\x1b[2Jhello")
        sender.end(1)
    shown = await asyncio.to_thread(os.read, ours, 1000)
    assert shown == b"^[[2Jhello\r\n"
    await process.stderr.read()
    assert await process.wait() == 0
    os.close(ours)


@offloads
async def test_json_tells_all(loop: str, offload: str) -> None:
    async with hearing(HERE, "--json", "--no-repair", offload, loop=loop) as it:
        with sending(it.port) as sender:
            for number in (1, 2, 5):
                sender.data(number, b"\xff" if number == 5 else b"hello")
            sender.end(5)
            first, second, fifth = await it.objects()
            assert await it.ended() == 0
            assert first == {
                "time": first["time"],
                "sender": "1a2b3c4d",
                "epoch": sender.epoch,
                "sequence": 1,
                "latency": first["latency"],
                "gap": 0,
                "repaired": False,
                "from": sender.name,
                "payload": "hello",
            }
    assert 0 < first["latency"] < 60
    assert (second["sequence"], second["gap"]) == (2, 0)
    assert (fifth["sequence"], fifth["gap"], fifth["base64"]) == (5, 2, "/w==")
    assert "lost 2 (40.00%)" in it.summary


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_in_order(loop: str, number: signal.Signals) -> None:
    async with hearing(HERE, "--keep", loop=loop) as it:
        with sending(it.port) as sender:
            sender.data(1, b"hello")
            sender.end(1)
            assert await it.line() == b"hello\n"
        it.signal(number)
        assert await it.ended() == -number
    assert it.summary.startswith("1 datagram (5 B)")
    assert not it.complaints()


async def test_count_and_duration_end_it(loop: str) -> None:
    async with hearing(HERE, "--count", "2", "--quiet", "--stats-json", loop=loop) as it:
        with sending(it.port) as sender:
            for number in range(1, 100):
                sender.data(number, b"%d" % number)
        assert await it.output() == b"1\n2\n"
        assert await it.ended() == 0
    async with hearing(HERE, "--duration", "0.1", loop=loop) as it:
        assert await it.ended() == 0
    assert it.summary.startswith("0 datagrams (0 B) in 0.")


async def test_raw_takes_what_socat_sends(loop: str) -> None:
    async with hearing("--raw", HERE, "--json", "--count", "2", loop=loop) as it:
        for payload in (b"hello\n", b""):
            await asyncio.to_thread(
                subprocess.run,
                [peer("socat"), "-u", "-b", "100", "-", f"UDP4:{LOOPBACK}:{it.port},shut-null"],
                input=payload,
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


async def test_a_reader_that_has_gone_ends_it_quietly(loop: str) -> None:
    reading, writing = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "listen", HERE, "--loop", loop, stdout=writing, stderr=subprocess.PIPE
    )
    os.close(writing)
    assert process.stderr is not None
    port = int((await process.stderr.readline()).rpartition(b":")[2])
    os.close(reading)
    with sending(port) as sender:
        sender.data(1, b"hello")
    assert await process.stderr.read() == b""
    assert await process.wait() == -signal.SIGPIPE


async def test_a_slow_reader_slows_nothing_and_is_told_of(loop: str) -> None:
    size, count = 60_000, 400  # 24 MB, where 16 may wait
    reading, writing = os.pipe()
    flags = ("--raw", HERE, "--stats-json", "--fail-on-loss")
    async with hearing(*flags, loop=loop, stdout=writing) as it:
        os.close(writing)
        with sending(it.port) as sender:
            for _ in range(count):
                sender.send(bytes(size))
                await asyncio.sleep(0)
        it.signal(signal.SIGTERM)
        assert await it.ended() == -signal.SIGTERM
        os.close(reading)
    assert it.figures["delivered"] + it.figures["kernel"] == count
    assert it.figures["unwritten"]["printed"] > 0
    assert not it.complaints()


async def test_a_command_for_each(loop: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = (
        f"sh -c 'cat >> {out}; echo \" $NETKIT_SEQUENCE\" >> {out}; test $NETKIT_SEQUENCE = 1'"
    )
    async with hearing(HERE, "--exec", command, loop=loop) as it:
        with sending(it.port) as sender:
            sender.data(1, b"one")
            sender.data(2, b"two")
            sender.end(2)
        assert await it.ended() == 0
        assert await it.output() == b""
    assert out.read_text() == "one 1\ntwo 2\n"
    assert it.summary.endswith("commands failed 1")


async def test_a_capture_and_a_recording(loop: str, tmp_path: Path) -> None:
    capture, record = tmp_path / "feed.pcap", tmp_path / "feed.jsonl"
    files = ("--pcap", capture, "--record", record)
    async with hearing(HERE, *files, loop=loop) as it:
        with sending(it.port) as sender:
            first = sender.data(1, b"hello")
            sender.send(b"rubbish")
            sender.end(1)
            assert await it.ended() == 0
            told = subprocess.run(
                [peer("tshark"), "-r", str(capture), "-T", "fields", "-e", "ip.src", "-e",
                 "udp.srcport", "-e", "ip.dst", "-e", "udp.dstport", "-e", "udp.payload"],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            own = sender.sock.getsockname()[1]
    rows = [line.split("\t") for line in told.stdout.splitlines()]
    ends = [LOOPBACK, str(own), LOOPBACK, str(it.port)]
    assert [row[:4] for row in rows] == [ends] * 3
    assert [bytes.fromhex(row[4]) for row in rows[:2]] == [first, b"rubbish"]
    (line,) = record.read_bytes().splitlines()
    assert recording.parse(line) == recording.Record(unpack(first).time, b"hello", 0x1A2B3C4D, 1)
    assert record.stat().st_mode & 0o777 == capture.stat().st_mode & 0o777 == 0o600


async def test_statistics_live(loop: str) -> None:
    async with hearing(HERE, "--stats-every", "0.05", loop=loop) as it:
        await it.logged("0/s, 0 bit/s, lost 0", 2)
    async with hearing(HERE, "--stats-every", "0.05", "--stats-json", loop=loop) as it:
        await it.logged('"delivered": 0', 2)


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


async def test_a_wrong_address_costs_no_recording(loop: str, tmp_path: Path) -> None:
    file = tmp_path / "old"
    file.write_bytes(b"kept")
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "listen", "192.0.2.1:1", "--record", file, "--loop", loop,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert await process.wait() == 3
    assert file.read_bytes() == b"kept"
