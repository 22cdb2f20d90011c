"""A ClientHello is seen before the handshake, and left for it."""

from __future__ import annotations

import asyncio

import pytest

from netkit.tls.shaking import LONGEST_HELLO, client_hello
from tests.stepping import stepped
from tests.tls.peer import tcp_pair


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
