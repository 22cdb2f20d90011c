"""netkit's TLS transport: what it carries, and what asyncio's transports have."""

from __future__ import annotations

import asyncio
import hashlib
import random
import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from netkit.tls.transport import RECORD
from tests.tls.peer import Buffered, Heard, connected

pytestmark = pytest.mark.usefixtures("own_certificates")


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
            transport.write("text")  # type: ignore[arg-type]  # it is refused


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
