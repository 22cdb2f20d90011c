"""``netkit listen`` as a process, hearing datagrams that the tests make."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import subprocess
from pathlib import Path

import pytest

from netkit.feeds import recording
from netkit.feeds.format import unpack
from tests.broadcast.hearing import LOOPBACK, hearing, sending
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
                await asyncio.sleep(0)  # a turn: one datagram each
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


async def test_a_wrong_address_costs_no_recording(loop: str, tmp_path: Path) -> None:
    file = tmp_path / "old"
    file.write_bytes(b"kept")
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "listen", "192.0.2.1:1", "--record", file, "--loop", loop,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert await process.wait() == 3
    assert file.read_bytes() == b"kept"
