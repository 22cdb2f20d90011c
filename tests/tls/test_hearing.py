"""A ClientHello is seen before the handshake, and left for it."""

from __future__ import annotations

import asyncio
import socket

import pytest

from netkit.tls.hearing import LONGEST_HELLO, Hearing
from tests.tls.peer import tcp_pair


def hello_of(size: int) -> bytes:
    """A handshake message of a ClientHello's type, with so many bytes."""
    return b"\x01" + size.to_bytes(3) + bytes(size)


def records(message: bytes, size: int) -> bytes:
    pieces = [message[start : start + size] for start in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + len(each).to_bytes(2) + each for each in pieces)


async def heard(sock: socket.socket) -> bytes:
    """What `Hearing` has heard; nothing of it is left on the socket."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bytes] = loop.create_future()
    Hearing(sock, done.set_result, done.set_exception)
    hello = await done
    assert not loop.remove_reader(sock)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == 1
    return hello


@pytest.mark.parametrize("record", [3, 50, 1000])
@pytest.mark.parametrize("packet", [1, 7, 100_000])
async def test_a_hello_is_seen_whole_and_left_there(record: int, packet: int) -> None:
    theirs, ours = tcp_pair()
    with theirs, ours:
        loop = asyncio.get_running_loop()
        sent = records(hello_of(300), record)
        seeing = asyncio.create_task(heard(ours))
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
        assert await heard(ours) == seen


async def test_a_reset_is_told() -> None:
    theirs, ours = tcp_pair()
    with ours:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        theirs.close()
        with pytest.raises(ConnectionResetError):
            await heard(ours)


async def test_whoever_stops_is_told_nothing() -> None:
    theirs, ours = tcp_pair()
    with theirs, ours:
        told: list[object] = []
        hearing = Hearing(ours, told.append, told.append)
        hearing.stop()
        theirs.sendall(b"no hello")
        await asyncio.sleep(0)  # a turn, in which the loop would tell of it
        assert not told
        assert not asyncio.get_running_loop().remove_reader(ours)
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == 1
