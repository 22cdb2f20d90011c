"""netkit's TLS transport against OpenSSL in memory at the other end, on both loops."""

from __future__ import annotations

import asyncio
import hashlib
import random
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from netkit.steps import stepped
from netkit.tls import client_context
from netkit.tls.connecting import start_client
from netkit.tls.secured import secure
from netkit.tls.shaking import LONGEST_HELLO, client_hello, shake_hands
from netkit.tls.transport import RECORD, TLSTransport
from tests.handshakes import local

pytestmark = pytest.mark.usefixtures("own_certificates")

CONNECT = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


SMALL = 16_384
"""Bytes that the kernel keeps for each direction, so that there soon is no room."""


class Heard(asyncio.Protocol):
    """Remembers all that it is told."""

    def __init__(self, *, stay_open: bool = False) -> None:
        self.stay_open = stay_open
        self.data = bytearray()
        self.events: list[str] = []
        self.error: Exception | None = None
        self.news = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.news.set()

    def eof_received(self) -> bool:
        self.tell("eof")
        return self.stay_open

    def pause_writing(self) -> None:
        self.tell("pause")

    def resume_writing(self) -> None:
        self.tell("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self.tell("lost")

    def tell(self, event: str) -> None:
        self.events.append(event)
        self.news.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for news until that holds."""
        while not holds():
            self.news.clear()
            await self.news.wait()

    async def got(self, size: int) -> bytes:
        await self.until(lambda: len(self.data) >= size)
        taken = bytes(self.data[:size])
        del self.data[:size]
        return taken

    async def happened(self, event: str) -> None:
        await self.until(lambda: event in self.events)


class Buffered(Heard, asyncio.BufferedProtocol):
    """The same with a buffer of its own, of any size."""

    def __init__(self, size: int, *, stay_open: bool = False) -> None:
        super().__init__(stay_open=stay_open)
        self.buffer = bytearray(size)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self.buffer[:nbytes]))


class Peer:
    """The client: OpenSSL in memory, and a socket on which the test sees each byte."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.loop = asyncio.get_running_loop()

    async def shake(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self.flush()
                await self.hear()
            else:
                return await self.flush()

    async def flush(self) -> None:
        await self.loop.sock_sendall(self.sock, self.outgoing.read())

    async def hear(self) -> None:
        data = await self.loop.sock_recv(self.sock, 65_536)
        self.incoming.write(data) if data else self.incoming.write_eof()

    async def write(self, data: bytes) -> None:
        self.tls.write(data)
        await self.flush()

    async def read(self) -> bytes:
        """What comes next; empty at close_notify. Raises SSLEOFError at an end without it."""
        while True:
            try:
                return self.tls.read(RECORD)
            except ssl.SSLWantReadError:
                await self.hear()
            except ssl.SSLZeroReturnError:  # after our own close_notify
                return b""

    async def exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = await self.read()
            assert piece
            data += piece
        return data

    async def say_end(self) -> None:
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.unwrap()
        await self.flush()


Pair = tuple[Peer, TLSTransport, Any]


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a connection, which do not block."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = socket.create_connection(listening.getsockname())
        theirs, _ = listening.accept()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


@asynccontextmanager
async def connected(
    protocol: Any, version: str = "1.3", *, small: bool = False
) -> AsyncIterator[Pair]:
    """A peer, and the transport that it talks to; both are closed at the end."""
    theirs, ours = tcp_pair()
    for sock in (ours, theirs):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF) if small else ():
            sock.setsockopt(socket.SOL_SOCKET, option, SMALL)
    server = local().context
    context = client_context()
    context.maximum_version = CONNECT[version]
    peer = Peer(theirs, context)
    secured = secure(ours, server, server_side=True)
    await asyncio.gather(peer.shake(), stepped(secured.fileno(), shake_hands(secured)))
    transport = TLSTransport(secured, {"peername": theirs.getsockname()})
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    transport.begin()
    try:
        yield peer, transport, protocol
    finally:
        transport.abort()
        await protocol.happened("lost")
        await asyncio.sleep(0)  # it closes its socket after it has said so
        theirs.close()


@pytest.fixture(params=CONNECT)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[None, 100, 65_536], ids=lambda size: f"buffer-{size}")
def protocol(request: pytest.FixtureRequest) -> Callable[..., Heard]:
    """A protocol, or a buffered one whose buffer is so large."""
    if request.param is None:
        return Heard
    return lambda **how: Buffered(request.param, **how)


async def test_bytes_arrive_in_order_and_whole(
    protocol: Callable[..., Heard], version: str
) -> None:
    async with connected(protocol(), version) as (peer, transport, heard):
        for size in (1, 2, 1000, RECORD - 1, RECORD, RECORD + 1, 3 * RECORD + 7):
            data = random.randbytes(size)
            sending = asyncio.create_task(peer.write(data))
            assert await heard.got(size) == data
            await sending
            transport.write(data)
            assert await peer.exactly(size) == data


async def test_much_of_both_directions_at_once(
    protocol: Callable[..., Heard], version: str
) -> None:
    async with connected(protocol(), version, small=True) as (
        peer,
        ours,
        heard,
    ):
        there, back = random.randbytes(150_001), random.randbytes(200_001)
        ours.write(back[:1])
        ours.writelines([back[1:100_000], back[100_000:]])

        async def send() -> None:
            for start in range(0, len(there), 7000):
                await peer.write(there[start : start + 7000])

        sending = asyncio.create_task(send())
        said = await peer.exactly(len(back))
        assert hashlib.sha256(said).digest() == hashlib.sha256(back).digest()
        assert await heard.got(len(there)) == there
        await sending
        assert heard.events == ["pause", "resume"]


async def test_a_record_byte_by_byte(protocol: Callable[..., Heard]) -> None:
    async with connected(protocol()) as (peer, _, heard):
        data = random.randbytes(RECORD)
        peer.tls.write(data)
        for byte in peer.outgoing.read():
            await peer.loop.sock_sendall(peer.sock, bytes([byte]))
        assert await heard.got(RECORD) == data


async def test_the_peers_end_leaves_our_direction_open(
    protocol: Callable[..., Heard], version: str
) -> None:
    async with connected(protocol(stay_open=True), version) as (peer, transport, heard):
        await peer.write(b"last words")
        await peer.say_end()
        await heard.happened("eof")
        assert heard.data == b"last words"
        for number in range(3):
            transport.write(b"answer %d" % number)
            assert await peer.exactly(8) == b"answer %d" % number
        transport.close()
        assert await peer.read() == b""
        await heard.happened("lost")
        assert heard.error is None
        assert not transport.truncated


async def test_our_end_leaves_the_peers_direction_open(
    protocol: Callable[..., Heard], version: str
) -> None:
    async with connected(protocol(), version) as (peer, transport, heard):
        transport.pause_reading()
        await peer.write(b"on its way when our end is said")
        transport.write(b"bye")
        transport.write_eof()
        transport.write_eof()  # once is enough
        assert await peer.exactly(3) == b"bye"
        assert await peer.read() == b""
        transport.resume_reading()
        assert await heard.got(31) == b"on its way when our end is said"
        for number in range(3):
            await peer.write(b"more %d" % number)
            assert await heard.got(6) == b"more %d" % number
        with pytest.raises(RuntimeError, match="after write_eof"):
            transport.write(b"too late")
        peer.tls.unwrap()
        await peer.flush()
        await heard.happened("lost")
        assert heard.events == ["eof", "lost"]


async def test_our_end_comes_after_all_that_was_written(version: str) -> None:
    async with connected(Heard(), version, small=True) as (peer, ours, _):
        data = random.randbytes(200_000)
        ours.write(data)
        ours.write_eof()
        assert ours.get_write_buffer_size() > 0
        assert await peer.exactly(len(data)) == data
        assert await peer.read() == b""


async def test_close_sends_what_was_written_and_waits_for_the_peer(version: str) -> None:
    async with connected(Heard(), version, small=True) as (peer, ours, heard):
        data = random.randbytes(200_000)
        ours.write(data)
        ours.close()
        ours.write(b"not any more")
        assert ours.is_closing()
        await peer.loop.sock_sendall(peer.sock, b"never read, and no reset for it")
        assert await peer.exactly(len(data)) == data
        assert await peer.read() == b""
        assert "lost" not in heard.events
        peer.sock.shutdown(socket.SHUT_WR)
        await heard.happened("lost")
        assert heard.error is None


async def test_an_end_without_close_notify_is_known(version: str) -> None:
    async with connected(Heard(stay_open=True), version) as (peer, transport, heard):
        await peer.write(b"cut of")
        peer.sock.shutdown(socket.SHUT_WR)
        await heard.happened("lost")
        assert heard.data == b"cut of"
        assert heard.events == ["eof", "lost"]
        assert transport.truncated


async def test_abort_says_nothing(version: str) -> None:
    async with connected(Heard(), version) as (peer, transport, heard):
        transport.abort()
        with pytest.raises(ssl.SSLEOFError):
            await peer.read()
        assert heard.events == ["lost"]


async def test_a_reset_is_told(version: str) -> None:
    async with connected(Heard(), version) as (peer, _, heard):
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.sock.close()
        await heard.happened("lost")
        assert isinstance(heard.error, ConnectionResetError)


async def test_a_reset_right_behind_data_is_told(version: str) -> None:
    async with connected(Heard(), version) as (peer, transport, heard):
        transport.pause_reading()
        await peer.write(b"last words")
        await peer.write(b" of it")
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.sock.close()
        transport.resume_reading()
        await heard.happened("lost")
        assert heard.data == b"last words of it"
        assert isinstance(heard.error, ConnectionResetError)


async def test_a_forged_record_ends_it(version: str) -> None:
    async with connected(Heard(), version) as (peer, _, heard):
        await peer.loop.sock_sendall(peer.sock, b"\x17\x03\x03\x00\x20" + bytes(32))
        await heard.happened("lost")
        assert isinstance(heard.error, ssl.SSLError)
        assert not heard.data


async def test_paused_it_leaves_everything_with_the_kernel() -> None:
    async with connected(Heard()) as (peer, transport, heard):
        transport.pause_reading()
        transport.pause_reading()
        assert not transport.is_reading()
        await peer.write(b"wait")
        transport.write(b"?")
        assert await peer.exactly(1) == b"?"
        assert not heard.data
        transport.resume_reading()
        assert await heard.got(4) == b"wait"


async def test_a_protocol_may_pause_in_the_middle_of_a_record() -> None:
    class Hesitant(Buffered):
        def buffer_updated(self, nbytes: int) -> None:
            self.transport.pause_reading()
            super().buffer_updated(nbytes)

    async with connected(Hesitant(10)) as (peer, transport, heard):
        await peer.write(b"0123456789abcdefghij!")
        assert await heard.got(10) == b"0123456789"
        transport.resume_reading()
        assert await heard.got(10) == b"abcdefghij"
        transport.resume_reading()
        assert await heard.got(1) == b"!"


async def test_another_protocol_takes_over_at_once() -> None:
    second = Buffered(3)

    class First(Heard):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.set_protocol(second)

    first = First()
    async with connected(second) as (peer, transport, _):
        transport.set_protocol(first)
        first.connection_made(transport)
        assert transport.get_protocol() is first
        peer.tls.write(b"one")
        peer.tls.write(b"two and three")
        await peer.flush()
        assert await second.got(13) == b"two and three"
        assert bytes(first.data) == b"one"


@pytest.mark.parametrize("method", ["data_received", "eof_received"])
async def test_what_a_protocol_raises_ends_it_and_is_told(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    error = ValueError("an author's fault")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Heard, method, fail)
    async with connected(Heard()) as (peer, _, heard):
        await peer.write(b"x") if method == "data_received" else await peer.say_end()
        await heard.happened("lost")
        assert heard.error is error
        assert [each["message"] for each in told] == [f"protocol.{method}() failed"]


async def test_limits_of_the_write_buffer() -> None:
    async with connected(Heard(), small=True) as (peer, transport, heard):
        transport.pause_reading()
        assert transport.get_write_buffer_limits() == (16_384, 65_536)
        transport.write(bytes(200_000))
        assert heard.events == ["pause"]
        transport.set_write_buffer_limits(high=400_000)
        assert transport.get_write_buffer_limits() == (100_000, 400_000)
        await peer.exactly(200_000)
        await heard.happened("resume")
        transport.set_write_buffer_limits(high=0)
        transport.write(bytes(200_000))
        assert heard.events[-1] == "pause"
        await peer.exactly(200_000)
        await heard.until(lambda: heard.events[-1] == "resume")
        with pytest.raises(ValueError, match="must be >="):
            transport.set_write_buffer_limits(high=1, low=2)
        with pytest.raises(TypeError, match="bytes-like"):
            transport.write("text")  # type: ignore[arg-type]


async def test_what_is_known_of_it() -> None:
    async with connected(Heard()) as (peer, transport, _):
        info = transport.get_extra_info
        assert info("peername") == peer.sock.getsockname()
        assert info("sockname") == peer.sock.getpeername()
        assert info("socket").fileno() >= 0
        assert info("ssl_object").version() == peer.tls.version() == "TLSv1.3"
        assert info("cipher") == peer.tls.cipher()
        assert info("sslcontext").verify_mode is ssl.CERT_NONE
        assert info("compression") is None
        assert info("peercert") is None
        assert info("weather", "fine") == "fine"
        assert transport.can_write_eof()


async def test_streams_on_it() -> None:
    reader = asyncio.StreamReader()
    done = asyncio.Event()

    class Stream(asyncio.StreamReaderProtocol):
        async def happened(self, _: str) -> None:
            await done.wait()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            done.set()

    protocol = Stream(reader)
    async with connected(protocol) as (peer, transport, _):
        loop = asyncio.get_running_loop()
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        await peer.write(b"one line\nanother")
        assert await reader.readline() == b"one line\n"
        writer.write(b"answer")
        await writer.drain()
        assert await peer.exactly(6) == b"answer"
        writer.write_eof()
        assert await peer.read() == b""
        writer.close()
        peer.sock.shutdown(socket.SHUT_WR)
        await writer.wait_closed()


async def test_as_a_client() -> None:
    theirs, ours = tcp_pair()
    server = secure(theirs, local().context, server_side=True)
    answering = asyncio.create_task(stepped(server.fileno(), shake_hands(server)))
    trusting = client_context()
    transport, heard = await start_client(Heard, ours, trusting, server_hostname="localhost")
    await answering
    transport.write(b"hello")
    await asyncio.sleep(0)
    assert server.recv(100) == b"hello"
    server.send(b"you too")
    assert await heard.got(7) == b"you too"
    assert transport.get_extra_info("peercert")["subject"]
    server.close()
    await heard.happened("lost")


async def test_a_client_that_distrusts_closes_its_socket() -> None:
    theirs, ours = tcp_pair()
    server = secure(theirs, local().context, server_side=True)
    answering = asyncio.create_task(stepped(server.fileno(), shake_hands(server)))
    with pytest.raises(ssl.SSLCertVerificationError):
        await start_client(Heard, ours, client_context(), server_hostname="elsewhere.test")
    assert ours.fileno() == -1
    with pytest.raises(ssl.SSLError):
        await answering
    server.close()


def hello_of(size: int) -> bytes:
    """A handshake message of a ClientHello's type, with so many bytes."""
    return b"\x01" + size.to_bytes(3) + bytes(size)


def records(message: bytes, size: int) -> bytes:
    pieces = [message[start : start + size] for start in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + len(each).to_bytes(2) + each for each in pieces)


@pytest.mark.parametrize("record", [3, 50, 1000])
@pytest.mark.parametrize("packet", [1, 7, 100_000])
async def test_a_hello_is_seen_whole_and_left_there(record: int, packet: int) -> None:
    theirs, ours = tcp_pair()
    with theirs, ours:
        loop = asyncio.get_running_loop()
        sent = records(hello_of(300), record)
        seeing = asyncio.create_task(stepped(ours.fileno(), client_hello(ours)))
        for start in range(0, len(sent), packet):
            assert not seeing.done()
            await loop.sock_sendall(theirs, sent[start : start + packet])
            await asyncio.sleep(0)  # a turn, so that pieces come apart
        await loop.sock_sendall(theirs, b"more that is not of it")
        assert await seeing == sent
        assert ours.recv(100_000) == sent + b"more that is not of it"


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", b""),
        (b"", b""),
        (b"\x16\x03", b"\x16\x03"),
        (records(hello_of(300), 1000)[:-1], records(hello_of(300), 1000)[:-1]),
        (records(hello_of(LONGEST_HELLO), 4000), b""),
        (b"\x16\x03\x01\x00\x00", b""),
    ],
)
async def test_what_is_no_whole_hello_ends_the_wait(sent: bytes, seen: bytes) -> None:
    theirs, ours = tcp_pair()
    with ours:
        theirs.sendall(sent)
        theirs.close()
        assert await stepped(ours.fileno(), client_hello(ours)) == seen
