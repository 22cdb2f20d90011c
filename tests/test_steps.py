"""What is done on a socket step by step, on both loops."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from netkit.steps import Stepping, Steps, Until, stepped


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


@pytest.mark.parametrize("last", [Until.READABLE, Until.WRITABLE])
async def test_who_goes_on_takes_over_the_watching(
    pair: tuple[socket.socket, socket.socket], last: Until
) -> None:
    ours, theirs = pair
    loop = asyncio.get_running_loop()
    released: asyncio.Future[bool] = loop.create_future()

    def one() -> Steps[None]:
        yield last

    def go_on(_: None) -> None:
        released.set_result(stepping.release())

    stepping = Stepping(ours.fileno(), one(), go_on, released.set_exception)
    stepping.go_on()
    theirs.send(b"x")
    assert await released is (last is Until.READABLE)
    told = asyncio.Event()  # and not the steps, which would end a second time
    loop.add_reader(ours, told.set)
    try:
        await told.wait()
    finally:
        loop.remove_reader(ours)
