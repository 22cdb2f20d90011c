"""The broadcaster as a process: what it sends, where from, and what it refuses."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from netkit.feeds.format import CONTROL, SIZE, Flag, Header, Kind, unpack
from netkit.feeds.ranges import Range, pack
from tests.broadcast.broadcasting import broadcasting, listening, recorded
from tests.peers import peer
from tests.runtime.process import COMMAND, LOOPS

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),  # of the test itself
    pytest.mark.parametrize("loop", LOOPS),
]


async def test_a_message_at_its_pace(loop: str) -> None:
    with listening() as ear:
        arguments = ("--to", ear.to, "--message", "beat {sequence} of {host}", "--every", "20ms")
        async with broadcasting(*arguments, "--count", 3, "--sender", "1a2b3c4d", loop=loop) as it:
            payloads = await ear.to_the_end()
            assert await it.ended() == 0
    host = socket.gethostname().encode()
    assert payloads == [b"beat %d of %s" % (number, host) for number in (1, 2, 3)]
    assert "sender 1a2b3c4d" in it.log
    assert "sent 3 payloads" in it.log


async def test_lines_of_standard_input_go_to_all_destinations_complete_and_in_order(
    loop: str,
) -> None:
    lines = [b"line %05d" % number + b"x" * (number % 700) for number in range(2000)]
    with listening() as ear, listening() as other:
        arguments = ("--to", ear.to, "--to", other.to, "--stdin", "--rate", "50Mbit/s")
        async with broadcasting(*arguments, loop=loop, stdin=b"\n".join(lines)) as it:
            heard, heard_too = await asyncio.gather(ear.to_the_end(), other.to_the_end())
            assert await it.ended() == 0
    assert heard == heard_too == lines


async def test_records_are_sent_as_they_are(loop: str) -> None:
    records = [b"\n\0\r\n", b"", b"x" * 1200]
    stdin = b"".join(len(record).to_bytes(4) + record for record in records)
    with listening() as ear:
        arguments = ("--to", ear.to, "--stdin", "--framing", "records")
        async with broadcasting(*arguments, loop=loop, stdin=stdin):
            assert await ear.to_the_end() == records


async def test_raw_is_the_payload_alone_for_a_receiver_that_is_not_ours(
    loop: str, tmp_path: Path
) -> None:
    heard = tmp_path / "heard"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    socat = await asyncio.create_subprocess_exec(
        peer("socat"), "-u", f"UDP4-RECV:{port},bind=127.0.0.1", f"OPEN:{heard},creat,append"
    )
    arguments = ("--to", f"127.0.0.1:{port}", "--raw", "--message", "{sequence};", "--every", "5ms")
    async with broadcasting(*arguments, loop=loop):
        while not (heard.exists() and heard.read_bytes().count(b";") >= 3):
            await asyncio.sleep(0.01)  # until the file has grown
    socat.terminate()
    await socat.wait()
    numbers = [int(number) for number in heard.read_text().rstrip(";").split(";")]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_what_a_command_prints(loop: str) -> None:
    with listening() as ear:
        arguments = ("--to", ear.to, "--exec", "printf '%s\\n' one 'two words'")
        async with broadcasting(*arguments, loop=loop) as it:
            assert await ear.to_the_end() == [b"one", b"two words"]
            assert await it.ended() == 0


async def test_a_command_that_fails_is_told(loop: str) -> None:
    with listening() as ear:
        async with broadcasting("--to", ear.to, "--exec", "false", loop=loop) as it:
            assert await it.ended() == 1
    assert it.lines[-1] == "netkit: error: --exec false: it ended with exit status 1"


async def test_the_command_ends_with_the_broadcast(loop: str, tmp_path: Path) -> None:
    script = tmp_path / "endless"
    script.write_text("#!/bin/sh\necho $$\nsleep 1000\n")
    script.chmod(0o755)
    with listening() as ear:
        async with broadcasting("--to", ear.to, "--exec", script, loop=loop) as it:
            _, payload = await ear.data()
            assert await it.stop() == -signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int(payload), 0)


async def test_a_file_is_followed_when_it_grows_is_replaced_and_is_cut(
    loop: str, tmp_path: Path
) -> None:
    file = tmp_path / "log"
    file.write_text("before\n")
    with listening() as ear:
        async with broadcasting("--to", ear.to, "--follow", file, loop=loop) as it:
            await it.logged("broadcasting")
            heard: list[bytes] = []
            # It begins at the end, and that is not told: the first line may come too early.
            while not heard:
                with file.open("a") as log:
                    log.write("added\n")
                try:
                    async with asyncio.timeout(0.5):
                        heard.append((await ear.data())[1])
                except TimeoutError:
                    continue
            new = tmp_path / "new"
            new.write_text("replaced\n")
            new.rename(file)
            while heard[-1] != b"replaced":
                heard.append((await ear.data())[1])
            file.write_text("cut\n")
            while heard[-1] != b"cut":
                heard.append((await ear.data())[1])
    assert set(heard) == {b"added", b"replaced", b"cut"}


async def test_other_programs_hand_in_what_to_send(loop: str, tmp_path: Path) -> None:
    path = tmp_path / "ingest.sock"
    with listening() as ear:
        arguments = ("--to", ear.to, "--ingest", f"unix:{path}", "--ingest", "tcp://127.0.0.1:0")
        async with broadcasting(*arguments, loop=loop) as it:
            await it.logged("listening on", 2)
            tcp = it.urls[1].removeprefix("tcp://")
            for command in (
                [peer("socat"), "-u", "-", f"UNIX-CONNECT:{path}"],
                [peer("socat"), "-u", "-", f"TCP:{tcp}"],
            ):
                process = await asyncio.create_subprocess_exec(
                    *command, stdin=asyncio.subprocess.PIPE
                )
                await process.communicate(b"one\ntwo\n")
                assert [(await ear.data())[1] for _ in "12"] == [b"one", b"two"]


async def test_what_is_handed_in_and_too_long_is_refused_with_a_reason(loop: str) -> None:
    with listening() as ear:
        arguments = ("--to", ear.to, "--ingest", "tcp://127.0.0.1:0", "--max-size", 5)
        async with broadcasting(*arguments, loop=loop) as it:
            await it.logged("listening on")
            reader, writer = await asyncio.open_connection("127.0.0.1", it.ports[0])
            writer.write(b"short\ntoo long\n")
            assert (await reader.read()).startswith(b"refused: line 2 is longer than the 5 bytes")
            writer.close()


async def test_a_recording_is_replayed(loop: str, tmp_path: Path) -> None:
    file = tmp_path / "feed.jsonl"
    times = [f"2026-01-01T00:00:00.{hundredths:02}Z" for hundredths in (0, 5, 7)]
    file.write_text(recorded(times, ["one", "two", "three"]))
    with listening() as ear:
        async with broadcasting("--to", ear.to, "--replay", file, loop=loop) as it:
            sent = [await ear.data() for _ in range(3)]
            assert await it.ended() == 0
    assert [payload for _, payload in sent] == [b"one", b"two", b"three"]
    first, second, third = (header.time for header, _ in sent)
    # Not earlier than recorded; how much later is the machine's affair.
    assert second - first > 40_000_000
    assert third - first > 60_000_000


async def test_what_was_lost_is_sent_again_byte_for_byte(loop: str) -> None:
    with listening() as ear:
        arguments = ("--to", ear.to, "--message", "{sequence}", "--every", "10ms")
        async with broadcasting(*arguments, loop=loop):
            first = await ear.hear()
            header = unpack(first)
            while unpack(await ear.hear()).sequence < header.sequence + 2:
                pass
            ask = Header(Kind.ASK, header.sender, header.epoch, 0, 0, 1).pack()
            ears_peer = await sender_of(ear.sock)
            ear.sock.sendto(ask + pack([Range(header.sequence, 1)]), ears_peer)
            heard = [await ear.hear() for _ in range(20)]
    assert first in heard
    assert any(unpack(each).kind is Kind.ASKED for each in heard)


async def test_subscribers(loop: str) -> None:
    arguments = ("--subscribe", "127.0.0.1:0", "--message", "{sequence}", "--every", "10ms")
    async with broadcasting(*arguments, loop=loop) as it:
        await it.logged("listening on")
        with listening() as ear:
            ear.sock.connect(("127.0.0.1", it.ports[0]))
            ask = Header(Kind.SUBSCRIBE, 0, 0, 7, 0, 60).pack()
            ear.sock.send(ask.ljust(CONTROL, b"\0"))
            challenge, payload = await ear.header()
            assert (challenge.kind, challenge.sequence) == (Kind.CHALLENGE, 7)
            ear.sock.send((ask + payload[:16]).ljust(CONTROL, b"\0"))
            accepted, payload = await ear.header()
            assert accepted.kind is Kind.SUBSCRIBED
            following = int.from_bytes(payload[:8])
            header, _ = await ear.data()
            assert header.sequence == following
            assert await it.stop() == -signal.SIGTERM
            while not unpack(await ear.hear()).flags & Flag.END:
                pass
    assert "joined" in it.log


async def test_one_that_is_not_proven_gets_no_more_than_it_sent(loop: str) -> None:
    arguments = ("--subscribe", "127.0.0.1:0", "--message", "x" * 1000, "--every", "1ms")
    async with broadcasting(*arguments, loop=loop) as it:
        await it.logged("listening on")
        with listening() as ear:
            ear.sock.connect(("127.0.0.1", it.ports[0]))
            ask = Header(Kind.SUBSCRIBE, 0, 0, 7, 0, 60).pack()
            for datagram in (b"", b"x", ask, os.urandom(64), b"x" * 1400):
                ear.sock.send(datagram)
            ear.sock.send(ask.ljust(CONTROL, b"\0"))
            assert len(await ear.hear()) == CONTROL
            ear.sock.send(ask.ljust(CONTROL, b"\0"))
            assert unpack(await ear.hear()).kind is Kind.CHALLENGE
        assert not it.complaints("error")


async def test_term_ends_the_feed_in_order(loop: str) -> None:
    with listening() as ear:
        arguments = ("--to", ear.to, "--message", "{sequence}", "--every", "5ms")
        async with broadcasting(*arguments, loop=loop) as it:
            last = (await ear.data())[0].sequence
            it.signal()
            while True:
                header, _ = await ear.header()
                if header.flags & Flag.END:
                    break
                last = max(last, header.sequence)
            assert header.sequence == last
            assert await it.ended() == -signal.SIGTERM


async def test_sealed(loop: str, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run([*COMMAND, "keys", "new", str(key)], check=True, capture_output=True)
    with listening() as ear:
        arguments = ("--to", ear.to, "--message", "hi", "--key", key, "--count", 1)
        async with broadcasting(*arguments, loop=loop):
            datagram = await ear.hear()
    assert unpack(datagram).flags & Flag.ED25519
    assert datagram[SIZE:-64] == b"hi"


TO = ("--to", "127.0.0.1:9")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((*TO, "--message", "x", "--max-size", "65500"), "give at most 65475"),
        ((*TO, "--message", "x", "--interface", "nowhere0"), "nowhere0"),
        ((*TO, "--follow", "/nowhere/log"), "--follow /nowhere/log: No such file"),
        ((*TO, "--replay", "/nowhere/feed"), "--replay /nowhere/feed: No such file"),
        ((*TO, "--exec", "/nowhere/command"), "--exec /nowhere/command: No such file"),
    ],
)
async def test_what_cannot_be_started_gets_one_line(
    loop: str, arguments: tuple[str, ...], line: str
) -> None:
    async with broadcasting(*arguments, loop=loop) as it:
        status = await it.ended()
    assert status in (2, 3), it.log
    assert line in it.lines[-1]
    assert it.lines[-1].startswith("netkit: error: ")
    assert "Traceback" not in it.log


async def sender_of(sock: socket.socket) -> tuple[str, int]:
    """Where the next datagram comes from."""
    sock.setblocking(True)
    _, where = await asyncio.to_thread(sock.recvfrom, 65_536)
    sock.setblocking(False)
    return where[0], where[1]
