"""Discard, chargen, daytime, time and qotd, with real peers."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.errors import UsageError
from netkit.servers.chargen import PATTERN, Chargen
from netkit.servers.datagrams import ANSWERING_PORTS, WHOLE_ANSWER, Answering, is_question
from netkit.servers.daytime import Daytime, daytime
from netkit.servers.discard import Discard
from netkit.servers.echo import Echo
from netkit.servers.qotd import LARGEST_FILE, LONGEST_QUOTE, SAYINGS, Qotd, parse_quotes
from netkit.servers.time import UNIX_EPOCH, Time, now_if_whole, seconds_since_1900
from netkit.service import Service
from tests.peers import peer
from tests.servers import Inbox, answer, asking, bound, listening, output

DAYTIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\r\n")
AMPLIFIERS: list[type[Service]] = [Chargen, Daytime, Qotd, Time]
CHARGEN = 8019


# Over TCP


async def test_discard_takes_a_megabyte_and_says_nothing() -> None:
    async with listening(Discard()) as port:
        assert await output(peer("ncat"), "127.0.0.1", port, given=bytes(2**20)) == b""


@pytest.mark.parametrize("given", [b"", b"hello\n", bytes(100_000)])
async def test_daytime_tells_the_moment_whatever_is_sent(given: bytes) -> None:
    async with listening(Daytime()) as port:
        line = await output(peer("ncat"), "127.0.0.1", port, given=given)
    assert DAYTIME.fullmatch(line)


async def test_time_agrees_with_the_clock() -> None:
    async with listening(Time()) as port:
        before = int(time.time())
        told = await output(peer("socat"), "-u", f"TCP:127.0.0.1:{port}", "-")
    assert before <= int.from_bytes(told, "big") - UNIX_EPOCH <= time.time()


async def test_qotd_says_one_of_its_sayings() -> None:
    service = Qotd()
    async with listening(service) as port:
        said = await output(peer("nc"), "-N", "127.0.0.1", port, given=b"\n")
    assert said in service.sayings


async def test_an_answer_survives_a_client_that_never_ends_its_side() -> None:
    async with listening(Qotd()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"are you there?")
        assert (await reader.read()).endswith(b"\r\n")
        writer.close()
        await writer.wait_closed()


async def test_chargen_draws_its_picture_for_as_long_as_it_is_watched() -> None:
    size = 3_000_000
    async with listening(Chargen()) as port:
        seen = await answer(peer("ncat"), "127.0.0.1", port, given=b"ignored", size=size)
    assert seen == (PATTERN * (size // len(PATTERN) + 1))[:size]
    assert {len(line) for line in PATTERN.splitlines()} == {72}


async def test_chargen_ends_when_its_reader_ends() -> None:
    service = Chargen()
    async with listening(service) as port:
        seen = await output(peer("ncat"), "127.0.0.1", port)
    assert seen
    assert not service.readers


async def test_chargen_rests_while_its_reader_does() -> None:
    service = Chargen()
    async with listening(service) as port:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.setblocking(False)
            high = 64 * 1024
            while not any(one.get_write_buffer_size() > high for one in service.readers):
                await asyncio.sleep(0)  # a turn of the loop
            (transport,) = service.readers
            held = transport.get_write_buffer_size()
            assert held < 2 * high
            for _ in range(10):
                await asyncio.sleep(0)  # a turn of the loop
            assert transport.get_write_buffer_size() == held

            await service.drain()
            loop = asyncio.get_running_loop()
            while await loop.sock_recv(client, 2**20):
                pass
    assert not service.readers


# Over UDP


async def test_discard_keeps_silent_over_udp() -> None:
    async with bound(Discard()) as silent, bound(Echo()) as port, asking(silent) as (client, inbox):
        client.sendto(b"anyone?")
        async with asking(port) as (other, heard):
            other.sendto(b"a turn later")
            assert await heard.received.get() == b"a turn later"
        assert inbox.received.empty()


async def test_netcat_asks_for_the_day() -> None:
    async with bound(Daytime()) as port:
        day = await answer(peer("nc"), "-u", "127.0.0.1", port, given=b"what day?\n", size=10)
    assert datetime.fromisoformat(day.decode()).year >= 2026


@pytest.mark.parametrize("kind", [Daytime, Qotd, Chargen])
async def test_an_answer_is_no_longer_than_its_question(kind: Callable[[], Service]) -> None:
    async with bound(kind()) as port, asking(port) as (client, inbox):
        client.sendto(b"12345")
        assert len(await inbox.received.get()) == 5


@pytest.mark.parametrize("kind", AMPLIFIERS)
async def test_whole_answers_when_the_operator_says_so(kind: Callable[..., Service]) -> None:
    async with bound(kind(amplify=True)) as port, asking(port) as (client, inbox):
        client.sendto(b"?")
        assert len(await inbox.received.get()) >= 4


async def test_time_answers_only_whole_numbers() -> None:
    async with bound(Time()) as port, asking(port) as (client, inbox):
        client.sendto(b"123")
        client.sendto(b"1234")
        assert len(await inbox.received.get()) == 4
        assert inbox.received.empty()


@pytest.mark.parametrize("kind", [Echo, *AMPLIFIERS])
async def test_two_servers_never_answer_each_other(kind: Callable[[], Service]) -> None:
    loop = asyncio.get_running_loop()
    async with bound(kind()) as port:
        chargen, heard = await loop.create_datagram_endpoint(Inbox, ("127.0.0.1", CHARGEN))
        async with asking(port) as (client, inbox):
            chargen.sendto(b"01234567", ("127.0.0.1", port))
            client.sendto(b"01234567")  # answered after the other would have been
            assert await inbox.received.get()
        assert heard.received.empty()
        chargen.close()
        await asyncio.sleep(0)  # a turn of the loop


@given(sender=st.integers(0, 65535), own=st.integers(1, 65535))
def test_which_senders_are_clients(sender: int, own: int) -> None:
    expected = sender > 1023 and sender not in {8007, 8013, 8017, 8019, 8037} and sender != own
    assert is_question(sender, own) == expected
    assert not is_question(own, own)


class Outbox(asyncio.DatagramTransport):
    """Keeps what a protocol sends."""

    def __init__(self) -> None:
        super().__init__({"sockname": ("127.0.0.1", 9000)})
        self.sent: list[bytes] = []

    def sendto(self, data: bytes | bytearray | memoryview, addr: object = None) -> None:
        self.sent.append(bytes(data))


@given(question=st.binary(max_size=2000), reply=st.binary(max_size=2000), amplify=st.booleans())
def test_no_amplification_whatever_is_asked(question: bytes, reply: bytes, amplify: bool) -> None:
    outbox = Outbox()
    answering = Answering(lambda room: reply, amplify=amplify)
    answering.connection_made(outbox)
    answering.datagram_received(question, ("127.0.0.1", 40000))
    answering.pause_writing()
    answering.datagram_received(question, ("127.0.0.1", 40000))
    room = WHOLE_ANSWER if amplify else min(len(question), WHOLE_ANSWER)
    assert outbox.sent == ([reply[:room]] if reply[:room] else [])


def test_the_ports_of_servers_that_answer_are_known() -> None:
    assert {Echo.port, *(kind.port for kind in AMPLIFIERS)} == set(ANSWERING_PORTS)


# What is said


def test_daytime_is_in_utc_wherever_the_clock_is() -> None:
    kathmandu = timezone(timedelta(hours=5, minutes=45))
    assert daytime(datetime(2026, 2, 3, 4, 5, 6, 789, kathmandu)) == b"2026-02-02T22:20:06Z\r\n"


@pytest.mark.parametrize(
    ("moment", "told"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 2_208_988_800),  # these three stand in RFC 868
        (datetime(1976, 1, 1, tzinfo=UTC), 2_398_291_200),
        (datetime(1983, 5, 1, tzinfo=UTC), 2_629_584_000),
        (datetime(2036, 2, 7, 6, 28, 15, tzinfo=UTC), 2**32 - 1),
        (datetime(2036, 2, 7, 6, 28, 16, tzinfo=UTC), 0),
    ],
)
def test_time_counts_from_1900_and_wraps_in_2036(moment: datetime, told: int) -> None:
    assert int.from_bytes(seconds_since_1900(moment.timestamp()), "big") == told


def test_a_part_of_a_number_is_not_told() -> None:
    assert [len(now_if_whole(room)) for room in (0, 3, 4, 512)] == [0, 0, 4, 4]


def test_built_in_sayings_are_sayable() -> None:
    assert len(parse_quotes(SAYINGS)) == len(SAYINGS.splitlines())


@given(st.text())
def test_every_quote_of_any_text_can_be_sent(text: str) -> None:
    assert all(2 < len(quote) <= LONGEST_QUOTE for quote in parse_quotes(text))


def test_quotes_by_line_and_as_fortunes() -> None:
    assert parse_quotes("one\r\n\n two\nthree") == [b"one\r\n", b"two\r\n", b"three\r\n"]
    assert parse_quotes("%\none\n  two\n%\n%\n100 %\n%\n") == [b"one\r\n  two\r\n", b"100 %\r\n"]
    assert parse_quotes("x" * 510 + "\n" + "é" * 254 + "x") == [("é" * 254 + "x\r\n").encode()]


async def test_quotes_come_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "quotes"
    file.write_text("Mine.\n")
    async with listening(Qotd(quotes=file)) as port:
        assert await output(peer("ncat"), "127.0.0.1", port) == b"Mine.\r\n"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"\n \n", "no quote"),
        (b"x" * 600, "no quote"),
        (b"\xff\xfe", "not UTF-8"),
        (b"x\n" * LARGEST_FILE, "larger than"),
    ],
)
async def test_a_useless_file_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    file = tmp_path / "quotes"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=f"^--quotes {re.escape(os.fspath(file))}: .*{complaint}"):
        await Qotd(quotes=file).__aenter__()


async def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--quotes .*absent: No such file"):
        await Qotd(quotes=tmp_path / "absent").__aenter__()
