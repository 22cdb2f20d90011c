"""Where messages go: text, JSON, recordings, captures that tshark reads, commands."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.clients.listen.message import Message
from netkit.clients.listen.output import exec as commands
from netkit.clients.listen.output import json as as_json
from netkit.clients.listen.output import pcap, record
from netkit.clients.listen.output.outlet import Outlet
from netkit.clients.listen.output.text import Text
from netkit.errors import UsageError
from netkit.feeds import recording
from tests.peers import peer

SENT = 1767225600_250000000  # 2026-01-01 00:00:00.25 UTC
HELLO = Message(
    b"hello", "192.0.2.1:9999", SENT, 0.0001234, 0x1A2B3C4D, 1767225600, 2, gap=1, repaired=True
)
RAW = Message(b"\xff\x00", "192.0.2.1:9999", SENT)


@pytest.mark.parametrize(
    ("end", "payload", "written"),
    [
        (b"\n", b"hello", b"hello\n"),
        (b"\n", b"hello\n", b"hello\n"),
        (b"\n", b"", b"\n"),
        (b"\0", b"hello\n", b"hello\n\0"),
        (b"", b"\x1b[2J", b"\x1b[2J"),
    ],
)
def test_text(end: bytes, payload: bytes, written: bytes) -> None:
    assert Text(end)(Message(payload, "", 0)) == written


def test_json_tells_all() -> None:
    assert json.loads(as_json.line(HELLO)) == {
        "time": "2026-01-01T00:00:00.250000000Z",
        "sender": "1a2b3c4d",
        "epoch": 1767225600,
        "sequence": 2,
        "latency": 0.000123,
        "gap": 1,
        "repaired": True,
        "from": "192.0.2.1:9999",
        "payload": "hello",
    }
    assert json.loads(as_json.line(RAW)) == {
        "time": "2026-01-01T00:00:00.250000000Z",
        "from": "192.0.2.1:9999",
        "base64": "/wA=",
    }


@given(
    st.integers(0, 2**64 - 1),
    st.binary(max_size=100),
    st.none() | st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1),
)
def test_a_recording_is_read_as_it_was_written(
    time: int, payload: bytes, sender: int | None, sequence: int
) -> None:
    written = recording.Record(time, payload, sender, None if sender is None else sequence)
    text = recording.line(written)
    assert text.endswith(b"\n")
    assert text.count(b"\n") == 1
    assert len(text) <= recording.LONGEST
    assert recording.parse(text) == written


def test_json_lines_are_recordings_too() -> None:
    for message in (HELLO, RAW):
        assert recording.parse(as_json.line(message)) == recording.parse(record.line(message))
    largest = recording.Record(2**64 - 1, bytes(65527), 2**32 - 1, 2**64 - 1)
    assert len(recording.line(largest)) <= recording.LONGEST


def test_a_line_by_hand_is_read() -> None:
    text = '{"time": "2026-01-01T00:00:00Z", "payload": "grüße", "note": 1}'
    assert recording.parse(text) == recording.Record(1767225600_000000000, "grüße".encode())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("hello", "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", "it is not an object"),
        ("{}", 'it has no "time"'),
        ('{"time": 1767225600}', 'it has no "time"'),
        ('{"time": "2026-13-01T00:00:00Z"}', 'there is no "time" 2026-13-01T00:00:00Z'),
        ('{"time": "2026-01-01T00:00:00Z"}', 'it has neither "base64" nor "payload"'),
        ('{"time": "2026-01-01T00:00:00Z", "base64": "?"}', 'its "base64" is none'),
        ('{"time": "2026-01-01T00:00:00Z", "payload": "\\ud800"}', 'its "payload"'),
        ('{"time": "2026-01-01T00:00:00Z", "payload": "", "sender": "x"}', 'its "sender"'),
        ('{"time": "2026-01-01T00:00:00Z", "payload": "", "sequence": -1}', 'its "sequence"'),
        ('{"time": "2026-01-01T00:00:00Z", "payload": "", "sequence": true}', 'its "sequence"'),
    ],
)
def test_what_is_no_recording_is_said_in_a_few_words(text: str | bytes, why: str) -> None:
    with pytest.raises(ValueError) as caught:
        recording.parse(text)
    assert str(caught.value).startswith(why)


def capture(folder: Path, *packets: bytes) -> Path:
    file = folder / "feed.pcap"
    file.write_bytes(pcap.FILE_HEADER + b"".join(packets))
    return file


def test_tshark_reads_a_capture(tmp_path: Path) -> None:
    v4 = ("192.0.2.1", 40000), ("239.1.2.3", 9999)
    v6 = ("2001:db8::1", 40000, 0, 0), ("ff02::1%eth0", 9999, 0, 2)
    payloads = b"hello", b"odd", b"", bytes(65507)
    file = capture(
        tmp_path,
        *(pcap.packet(*v4, payload, SENT) for payload in payloads),
        *(pcap.packet(*v6, payload, SENT) for payload in payloads),
    )
    fields = [
        "frame.time_epoch", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "udp.srcport",
        "udp.dstport", "udp.length", "ip.checksum.status", "udp.checksum.status", "data.len",
    ]  # fmt: skip
    done = subprocess.run(
        [peer("tshark"), "-r", file, "-T", "fields", "-E", "separator=,",
         "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
         *(word for field in fields for word in ("-e", field))],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    good = "1"
    lengths = [(str(len(each) + 8), str(len(each)) if each else "") for each in payloads]
    rows = [line.split(",") for line in done.stdout.splitlines()]
    assert all(row[0].startswith("1767225600.25") for row in rows)
    assert [row[1:] for row in rows] == [
        ["192.0.2.1", "239.1.2.3", "", "", "40000", "9999", udp, good, good, data]
        for udp, data in lengths
    ] + [
        ["", "", "2001:db8::1", "ff02::1", "40000", "9999", udp, "", good, data]
        for udp, data in lengths
    ]


def test_capinfos_finds_nothing_amiss(tmp_path: Path) -> None:
    file = capture(tmp_path, pcap.packet(("127.0.0.1", 1), ("127.0.0.1", 2), b"hello", SENT))
    done = subprocess.run([peer("capinfos"), "-M", "-T", file], capture_output=True, check=True)
    header, row = (line.split("\t") for line in done.stdout.decode().splitlines())
    told = dict(zip(header, row, strict=True))
    assert told["File type"].endswith("pcap")
    assert told["File time precision"] == "nanoseconds"
    assert (told["File encapsulation"], told["Number of packets"]) == ("rawip", "1")


@given(st.binary(min_size=1, max_size=64))
def test_the_checksum_is_that_of_rfc_1071(data: bytes) -> None:
    total = 0
    for at in range(0, len(data), 2):
        total += int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    expected = ~total & 0xFFFF
    if any(data):  # where all is zero, a datagram with its header never is
        assert pcap._checksum(data) == expected


class Slow:
    """A reader that takes a write when the test says so."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.open = asyncio.Event()
        self.waiting = asyncio.Event()

    async def write(self, data: bytes) -> None:
        self.waiting.set()
        await self.open.wait()
        self.taken.append(data)


async def test_what_a_slow_reader_has_no_room_for_is_counted() -> None:
    reader = Slow()
    outlet = Outlet(reader.write, most=10)
    running = asyncio.create_task(outlet.run())
    outlet.put(b"12345678")
    await reader.waiting.wait()
    outlet.put(b"9")
    outlet.put(b"0123")  # what is being written takes room too
    outlet.put(b"A")
    assert outlet.dropped == 1
    reader.open.set()
    outlet.close()
    outlet.put(b"B")
    await running
    assert reader.taken == [b"12345678", b"9A"]
    assert outlet.dropped == 2


async def test_what_was_given_up_is_counted() -> None:
    reader = Slow()
    outlet = Outlet(reader.write)
    running = asyncio.create_task(outlet.run())
    outlet.put(b"ab", messages=2)
    await reader.waiting.wait()
    outlet.put(b"c")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert outlet.dropped == 3


async def test_a_broken_writer_ends_it() -> None:
    async def write(_: bytes) -> None:
        raise BrokenPipeError

    outlet = Outlet(write)
    outlet.put(b"a")
    with pytest.raises(BrokenPipeError):
        await outlet.run()
    outlet.put(b"b")
    assert outlet.dropped == 2


@asynccontextmanager
async def running(program: commands.Commands) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(program.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def shell(script: str) -> str:
    return f'sh -c "{script}"'


async def test_a_command_gets_payload_and_variables(tmp_path: Path) -> None:
    out = tmp_path / "out"
    program = commands.Commands(shell(f"env | grep ^NETKIT_ | sort > {out}; cat >> {out}"))
    async with running(program) as task:
        program.put(HELLO)
        program.close()
        await task
    assert "\n".join(
        [
            "NETKIT_EPOCH=1767225600",
            "NETKIT_FROM=192.0.2.1:9999",
            "NETKIT_GAP=1",
            "NETKIT_LATENCY=0.000123",
            "NETKIT_REPAIRED=1",
            "NETKIT_SENDER=1a2b3c4d",
            "NETKIT_SEQUENCE=2",
            "NETKIT_TIME=2026-01-01T00:00:00.250000000Z",
            "hello",
        ]
    ) in out.read_text().replace(f"NETKIT_CERTS={os.environ['NETKIT_CERTS']}\n", "")
    assert (program.dropped, program.failed) == (0, 0)


async def test_commands_run_one_after_the_other_and_failures_are_counted(tmp_path: Path) -> None:
    out = tmp_path / "out"
    program = commands.Commands(shell(f"cat >> {out}; echo . >> {out}; exit 3"))
    async with running(program) as task:
        for number in range(5):
            program.put(Message(b"%d" % number, "", 0))
        program.close()
        await task
    assert out.read_text() == "0.\n1.\n2.\n3.\n4.\n"
    assert program.failed == 5


async def test_as_many_commands_run_as_there_are_jobs(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # The first can only end when the second has begun.
    program = commands.Commands(shell(f"read n; [ $n = 1 ] && cat {fifo} || echo x > {fifo}"), 2)
    async with running(program) as task:
        program.put(Message(b"1\n", "", 0))
        program.put(Message(b"2\n", "", 0))
        program.close()
        await task
    assert program.failed == 0


async def test_what_a_command_has_no_room_for_is_counted() -> None:
    program = commands.Commands("cat")
    for _ in range(commands.MOST_WAITING + 3):
        program.put(RAW)
    assert program.dropped == 3


async def test_what_a_command_started_is_ended_with_us(tmp_path: Path) -> None:
    held = tmp_path / "held"
    os.mkfifo(held)
    program = commands.Commands(shell(f"exec 3> {held}; echo begun >&3; sleep 600 & wait"))
    with ThreadPoolExecutor(1) as threads:
        opened = threads.submit(held.open, "rb")
        async with running(program):
            program.put(HELLO)
            file = await asyncio.wrap_future(opened)
            assert await asyncio.to_thread(file.readline) == b"begun\n"
        with file:  # its end comes when the last that holds it is gone
            assert await asyncio.to_thread(file.read) == b""


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("", "--exec '': there is no such command; give its path"),
        ("no-such-command x", "--exec no-such-command: there is no such command; give its path"),
        ("echo 'x", "--exec echo 'x: No closing quotation; mend the quotes"),
    ],
)
def test_what_cannot_run_is_said_at_once(command: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        commands.Commands(command)
    assert str(caught.value) == why
