"""What is done on a socket step by step, on both loops."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from netkit.steps import Steps, Until
from tests.stepping import stepped


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


def exchanged(sock: socket.socket, rounds: int) -> Steps[bytes]:
    """Read a byte and answer it, so many times; all that was read."""
    heard = b""
    for _ in range(rounds):
        yield Until.READABLE
        heard += sock.recv(1)
        yield Until.WRITABLE
        sock.send(heard[-1:].upper())
    return heard


async def test_each_is_taken_when_the_socket_is_ready(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    task = asyncio.create_task(stepped(ours.fileno(), exchanged(ours, 3)))
    loop = asyncio.get_running_loop()
    theirs.setblocking(False)
    for letter in (b"a", b"b", b"c"):
        assert not task.done()
        theirs.send(letter)
        assert await loop.sock_recv(theirs, 10) == letter.upper()
    assert await task == b"abc"
    assert not loop.remove_reader(ours)
    assert not loop.remove_writer(ours)


async def test_steps_that_need_not_wait(pair: tuple[socket.socket, socket.socket]) -> None:
    def none() -> Steps[int]:
        yield from ()
        return 7

    assert await stepped(pair[0].fileno(), none()) == 7


async def test_an_error_ends_them(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair

    def failing() -> Steps[None]:
        yield Until.READABLE
        raise ConnectionResetError("at the second step")

    theirs.send(b"x")
    with pytest.raises(ConnectionResetError, match="at the second step"):
        await stepped(ours.fileno(), failing())
    assert not asyncio.get_running_loop().remove_reader(ours)


async def test_a_task_that_is_cancelled_takes_no_more(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    seen: list[str] = []

    def waiting() -> Steps[None]:
        try:
            yield Until.READABLE
            seen.append("readable")
        finally:
            seen.append("left")

    task = asyncio.create_task(stepped(ours.fileno(), waiting()))
    await asyncio.sleep(0)  # a turn, in which it begins
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    theirs.send(b"x")
    await asyncio.sleep(0)  # a turn, in which the loop would tell of it
    assert seen == ["left"]
    assert not asyncio.get_running_loop().remove_reader(ours)
