"""The ends of netkit's TLS transport: of one direction, of both, in order or not."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from collections.abc import Callable

import pytest

from netkit.tls import client_context
from netkit.tls.secured import secure
from tests.handshakes import local
from tests.tls.peer import Accepted, Heard, Peer, connected, tcp_pair

RESET = b"\1\0\0\0\0\0\0\0"
"""SO_LINGER at 0 seconds."""

pytestmark = pytest.mark.usefixtures("own_certificates")


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


async def test_a_reset_right_behind_the_handshake(protocol: Callable[..., Heard]) -> None:
    """Where the loop tells of it in the same turn, and never again."""
    theirs, ours = tcp_pair()
    heard = protocol()
    accepted = Accepted(heard, theirs.getsockname())
    accepted.shake_hands(secure(ours, local().context, server_side=True))
    await Peer(theirs, client_context()).shake()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    theirs.close()
    await heard.happened("lost")
    assert isinstance(heard.error, ConnectionResetError)
    await asyncio.sleep(0)  # a turn, in which it closes its socket
    assert heard.transport.get_extra_info("ssl_object").fileno() == -1


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
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        peer.sock.close()
        await heard.happened("lost")
        assert isinstance(heard.error, ConnectionResetError)


async def test_a_reset_right_behind_data_is_told(version: str) -> None:
    async with connected(Heard(), version) as (peer, transport, heard):
        transport.pause_reading()
        await peer.write(b"last words")
        await peer.write(b" of it")
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
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
