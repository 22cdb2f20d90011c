"""Runs of equal datagrams: sent as one, received as one, and the same without the kernel's help."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from netkit.addresses import parse
from netkit.feeds import offload
from netkit.feeds import reader as reading
from netkit.feeds.offload import LONGEST, SEGMENTS, Bursts
from netkit.feeds.reader import READS, Reader
from netkit.feeds.resolving import Where
from netkit.feeds.sockets import Outgoing, dropped, receiving, sending
from tests.broadcast.namespaces import network

UNKNOWN_OPTION = 250


class Sending(asyncio.DatagramProtocol):
    """A protocol that asks its `Bursts` about errors, as they want it."""

    bursts: Bursts | None = None

    def __init__(self) -> None:
        self.errors: list[OSError] = []
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(None)

    def error_received(self, exc: Exception) -> None:
        assert isinstance(exc, OSError)
        if not (self.bursts and self.bursts.refused(exc)):
            self.errors.append(exc)


@asynccontextmanager
async def bursting(out: Outgoing) -> AsyncIterator[tuple[Bursts, Sending]]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Sending, sock=out.sock)
    protocol.bursts = Bursts(transport, out.where)
    try:
        yield protocol.bursts, protocol
    finally:
        transport.close()
        await protocol.lost


class Heard:
    """What a `Reader` hands over; `until` waits for so many bytes."""

    def __init__(self) -> None:
        self.runs: list[tuple[bytes, int, Where]] = []
        self.errors: list[OSError] = []
        self._changed = asyncio.Event()

    def __call__(self, run: memoryview, size: int, source: Where) -> None:
        self.runs.append((bytes(run), size, source))
        self._changed.set()

    def failed(self, error: OSError) -> None:
        self.errors.append(error)
        self._changed.set()

    async def more(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def until(self, met: Callable[[], bool]) -> None:
        while not met():
            await self.more()

    @property
    def data(self) -> bytes:
        return b"".join(run for run, _, _ in self.runs)

    @property
    def datagrams(self) -> list[bytes]:
        return [
            run[at : at + size] for run, size, _ in self.runs for at in range(0, len(run), size)
        ]


@contextmanager
def hearing(
    *, offload: bool = True, host: str = "127.0.0.1"
) -> Iterator[tuple[Heard, Reader, str]]:
    heard = Heard()
    sock = receiving(parse(f"{host}:0", default_scheme="udp")).sock
    reader = Reader(sock, heard, heard.failed, offload=offload)
    try:
        name = sock.getsockname()
        yield heard, reader, f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
    finally:
        reader.close()


def to(where: str) -> Outgoing:
    return sending(parse(where, default_scheme="udp"))


def numbered(count: int, size: int) -> bytes:
    return b"".join(number.to_bytes(8, "big").ljust(size, b".") for number in range(count))


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
@pytest.mark.parametrize("size", [8, 64, 512, 1200, 8192, 32_000])
async def test_a_run_arrives_as_one(size: int, host: str) -> None:
    run = numbered(min(SEGMENTS, LONGEST // size), size)
    with hearing(host=host) as (heard, reader, where):
        assert reader.offload
        async with bursting(to(where)) as (bursts, protocol):
            bursts.send(run, size)
            await heard.until(lambda: len(heard.data) >= len(run))
            assert (bursts.refusal, protocol.errors) == (None, [])
    assert [(data == run, cut) for data, cut, _ in heard.runs] == [(True, size)]


@pytest.mark.parametrize("reads_runs", [True, False])
@pytest.mark.parametrize("sends_runs", [True, False])
@pytest.mark.parametrize(
    ("count", "size"), [(1, 9), (SEGMENTS, 64), (SEGMENTS + 1, 64), (1000, 512), (300, 1200)]
)
async def test_datagrams_are_the_same_with_and_without(
    count: int, size: int, sends_runs: bool, reads_runs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not sends_runs:  # as on a kernel that does not know it
        monkeypatch.setattr(offload, "UDP_SEGMENT", UNKNOWN_OPTION)
    if not reads_runs:
        monkeypatch.setattr(reading, "UDP_GRO", UNKNOWN_OPTION)
    run = numbered(count, size) + b"a shorter end"[: size - 1]
    with hearing() as (heard, reader, where):
        async with bursting(to(where)) as (bursts, _):
            bursts.send(bytearray(run), size)
            assert (bursts.refusal is not None) is not sends_runs
            await heard.until(lambda: len(heard.data) >= len(run))
        assert reader.offload is reads_runs
        assert dropped(reader.sock) == 0
    assert heard.datagrams == [run[at : at + size] for at in range(0, len(run), size)]
    assert {cut for _, cut, _ in heard.runs} <= {size, len(run) % size}


async def test_sizes_may_change_and_nothing_longer_is_cut() -> None:
    with hearing() as (heard, _, where):
        async with bursting(to(where)) as (bursts, _):
            for count, size in ((10, 100), (1, 700), (20, 64), (1, 60), (5, 1400), (1, 65_507)):
                bursts.send(numbered(count, size), size)
            await heard.until(lambda: len(heard.data) >= 75_547)
    sizes = [len(datagram) for datagram in heard.datagrams]
    assert sizes == [*[100] * 10, 700, *[64] * 20, 60, *[1400] * 5, 65_507]


async def test_what_the_path_refuses_to_cut_is_sent_one_by_one() -> None:
    # 2,000 bytes and an MTU of 1,500: a datagram may be fragmented, a segment may not.
    run = numbered(20, 2000)
    with network(2) as net:
        with net.hosts[1].entered():
            sock = receiving(parse(f"{net.hosts[1].ipv4}:5000", default_scheme="udp")).sock
        with net.hosts[0].entered():
            out = to(f"{net.hosts[1].ipv4}:5000")
        heard = Heard()
        reader = Reader(sock, heard, heard.failed)
        async with bursting(out) as (bursts, protocol):
            bursts.send(numbered(20, 1000), 1000)
            assert bursts.refusal is None
            bursts.send(run, 2000)
            assert bursts.refusal is not None
            bursts.send(b"x" * 3000, 3000)
            await heard.until(lambda: len(heard.data) >= 63_000)
            assert protocol.errors == []
        reader.close()
    # In any order: a veth may change it where the sender moves to another processor.
    sent = [*(run[at : at + 2000] for at in range(0, 40_000, 2000)), b"x" * 3000]
    assert sorted(each for each in heard.datagrams if len(each) != 1000) == sorted(sent)


async def test_other_errors_stay_the_protocols() -> None:
    with hearing() as (_, _, where):
        async with bursting(to(where)) as (bursts, protocol):
            bursts.send(bytes(65_508), 65_508)
            assert [error.errno for error in protocol.errors] == [90]  # EMSGSIZE, of a datagram
            assert bursts.refusal is None


async def test_a_size_does_not_change_under_what_waits() -> None:
    with hearing() as (heard, _, where):
        async with bursting(to(where)) as (bursts, _):
            bursts.send(bytes(200), 100)
            buffer, bursts._buffer = bursts._buffer, Waiting()
            with pytest.raises(BlockingIOError, match="wait for resume_writing"):
                bursts.send(bytes(200), 50)
            bursts.send(bytes(200), 100)
            bursts._buffer = buffer
            await heard.until(lambda: len(heard.data) >= 400)
    assert {len(datagram) for datagram in heard.datagrams} == {100}


class Waiting(asyncio.WriteTransport):
    """A transport in which something waits."""

    def get_write_buffer_size(self) -> int:
        return 1


async def test_a_run_that_had_waited_is_not_sent_again() -> None:
    with hearing() as (_, _, where):
        async with bursting(to(where)) as (bursts, _):
            bursts.send(bytes(200), 100)
            assert not bursts.refused(OSError(5, "EIO, a turn later"))
            assert bursts.refusal is not None


@pytest.mark.parametrize("offload", [True, False])
async def test_single_datagrams_are_joined_and_sources_kept_apart(offload: bool) -> None:
    with (
        hearing(offload=offload) as (heard, _, where),
        hearing() as (_, other, _),
        to(where).sock as one,
    ):
        address = parse(where, default_scheme="udp")
        for _ in range(3):  # from now on it expects this size
            one.sendto(bytes(4), (address.host, address.port))
        await heard.until(lambda: len(heard.data) >= 12)
        heard.runs.clear()
        for sock, size in ((one, 4), (one, 4), (other.sock, 4), (one, 4), (one, 5), (one, 3)):
            sock.sendto(bytes(size), (address.host, address.port))
        names = [one.getsockname()[1], other.sock.getsockname()[1]]
        await heard.until(lambda: len(heard.data) >= 24)
    runs = [(len(run), size, names.index(source[1])) for run, size, source in heard.runs]
    assert runs == [(8, 4, 0), (4, 4, 1), (4, 4, 0), (5, 5, 0), (3, 3, 0)]


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
@pytest.mark.parametrize("offload", [True, False])
async def test_datagrams_of_any_sizes_arrive_whole_and_in_order(offload: bool, host: str) -> None:
    chance = random.Random(offload)  # the same each time
    most = [1, 60, 2047, 2048, 2049, 9000, 65_507]
    with hearing(offload=offload, host=host) as (heard, _, where), to(where).sock as sock:
        address = parse(where, default_scheme="udp")
        sock.bind((address.host, 0))
        for _ in range(100):
            heard.runs.clear()
            sent = []
            for size in chance.choices(most, k=chance.randint(1, 5)):
                some = chance.choice([size, chance.randint(1, size)])
                sent += [chance.randbytes(some) for _ in range(chance.choice([1, 3]))]
            for data in sent:
                sock.sendto(data, (address.host, address.port))
            whole = b"".join(sent)
            while len(heard.data) < len(whole):
                await heard.more()
            assert heard.datagrams == sent
            assert {source for _, _, source in heard.runs} == {sock.getsockname()}


async def test_empty_datagrams_are_told_one_by_one() -> None:
    with hearing() as (heard, _, where), to(where).sock as sock:
        address = parse(where, default_scheme="udp")
        for data in (b"ab", b"", b"", b"cd", b"ef"):
            sock.sendto(data, (address.host, address.port))
        await heard.until(lambda: len(heard.data) >= 6)
    assert [(run, size) for run, size, _ in heard.runs] == [
        *[(b"ab", 2), (b"", 0), (b"", 0), (b"cd", 2), (b"ef", 2)]
    ]


async def test_others_get_their_turn_in_a_flood() -> None:
    flood = READS * 5
    turns, turns_of_runs = 0, []

    def turn() -> None:
        nonlocal turns
        turns += 1
        handle[0] = loop.call_soon(turn)

    loop = asyncio.get_running_loop()
    with hearing() as (heard, _, where), to(where).sock as sock:
        address = parse(where, default_scheme="udp")
        for number in range(flood):
            sock.sendto(bytes(1 + number % 2), (address.host, address.port))
        handle = [loop.call_soon(turn)]
        while len(heard.runs) < flood:
            before = len(heard.runs)
            await asyncio.sleep(0)  # turns are what is counted
            turns_of_runs.append(len(heard.runs) - before)
        handle[0].cancel()
    assert max(turns_of_runs) <= 2 * READS  # a turn of ours may see the end of two of the loop's
    assert turns >= 5


async def test_a_reader_that_is_closed_from_within_reads_no_more() -> None:
    told = []

    def once(run: memoryview, size: int, source: Where) -> None:
        told.append(bytes(run))
        reader.close()
        closed.set()

    closed = asyncio.Event()
    sock = receiving(parse("127.0.0.1:0", default_scheme="udp")).sock
    name = sock.getsockname()
    with to(f"127.0.0.1:{name[1]}").sock as out:
        for size in (1, 2, 3):
            out.sendto(bytes(size), name)
    reader = Reader(sock, once, lambda error: None)
    await closed.wait()
    await asyncio.sleep(0)
    assert told == [b"\0"]
    assert sock.fileno() == -1
    reader.close()


async def test_what_the_socket_reports_is_told() -> None:
    with hearing() as (heard, reader, _):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
            gone.bind(("127.0.0.1", 0))
            nowhere = gone.getsockname()
        reader.sock.connect(nowhere)
        reader.sock.send(b"anybody?")
        await heard.until(lambda: bool(heard.errors))
    assert [type(error) for error in heard.errors] == [ConnectionRefusedError]
