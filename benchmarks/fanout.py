"""Fan-out: deliveries a second to a room, gathered writes beside a write for each line.

Try it: ``python benchmarks/fanout.py --members 200 --lines 100``

The server's side is the chat's own `Rooms` and `Fanout`; each member is a real socket
of this process. Another process reads them all and ends when it has read every byte
that it was promised. Runs of the two ways are interleaved; the table has medians.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import selectors
import socket
import statistics
import time
from collections.abc import Callable
from typing import cast

import uvloop

from netkit.servers.chat.events import Event
from netkit.servers.chat.lines import encode, render
from netkit.servers.chat.outbox import Fanout, Outbox
from netkit.servers.chat.rooms import Limits, Rooms

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}
WAYS = ("gathered", "write each")


class Writer(asyncio.Protocol):
    """A member's connection: its outbox, and whether it may be written to."""

    def __init__(self) -> None:
        self.writable = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready for lines: on uvloop a turn after `create_connection` returns."""
        self.outbox = Outbox(cast("asyncio.Transport", transport), 1 << 30, lambda: None)
        self.writable.set()

    def pause_writing(self) -> None:
        """Let lines gather."""
        self.outbox.paused = True
        self.writable.clear()

    def resume_writing(self) -> None:
        """Write what gathered."""
        self.outbox.paused = False
        self.outbox.flush()
        self.writable.set()


def read_all(sockets: list[socket.socket], promised: int) -> None:
    """Read `promised` bytes from each socket."""
    left = {sock.fileno(): promised for sock in sockets}
    selector = selectors.DefaultSelector()
    for sock in sockets:
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ)
    while selector.get_map():
        for key, _ in selector.select():
            left[key.fd] -= len(key.fileobj.recv(262_144))  # type: ignore[union-attr] # a socket
            if left[key.fd] <= 0:
                selector.unregister(key.fileobj)
    assert not any(left.values()), "bytes that nobody promised"


async def speak(way: str, ours: list[socket.socket], turns: int, lines: int) -> None:
    """Say `lines` lines to everybody in each of `turns` turns of the loop."""
    loop = asyncio.get_running_loop()
    rooms = Rooms(Limits(members=len(ours) + 1, members_per_room=len(ours) + 1))
    fanout = Fanout(lambda event: encode(render(event)))
    speaker = rooms.enter("speaker")
    rooms.join(speaker, "room")
    room = rooms.room("room")
    writers = []
    for number, sock in enumerate(ours):
        _, writer = await loop.create_connection(Writer, sock=sock)
        await writer.writable.wait()
        writers.append(writer)
        member = rooms.enter(f"n{number}")
        rooms.join(member, "room")
        fanout.outboxes[member] = writer.outbox
    for _ in range(turns):
        for _ in range(lines):
            fanout.post(rooms.say(speaker, room, TEXT))
            if way == "write each":
                fanout.flush()
        await asyncio.sleep(0)  # a turn of the loop
        for writer in writers:
            await writer.writable.wait()
    fanout.close()
    for writer in writers:
        writer.outbox.finish()


TEXT = "x" * 40


def encoded_size() -> int:
    """Return the bytes of one line as it is delivered."""
    rooms = Rooms(Limits())
    speaker, hearer = rooms.enter("speaker"), rooms.enter("n0")
    rooms.join(speaker, "room")
    rooms.join(hearer, "room")
    event: Event = rooms.say(speaker, rooms.room("room"), TEXT)[0].event
    return len(encode(render(event)))


def measure(loop: str, way: str, members: int, turns: int, lines: int) -> tuple[float, float]:
    """Return deliveries a second until the last byte is read, and CPU µs for each."""
    pairs = [socket.socketpair() for _ in range(members)]
    ours, theirs = [list(side) for side in zip(*pairs, strict=True)]
    fork = multiprocessing.get_context("fork")
    reader = fork.Process(target=read_all, args=(theirs, encoded_size() * turns * lines))
    reader.start()
    for sock in theirs:
        sock.close()
    wall, cpu = time.perf_counter(), time.process_time()
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(speak(way, ours, turns, lines))
        cpu = time.process_time() - cpu
        reader.join()
    assert reader.exitcode == 0, "the reader did not get what it was promised"
    deliveries = members * turns * lines
    return deliveries / (time.perf_counter() - wall), cpu / deliveries * 1e6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--members", type=int, default=200, help="listeners in the room")
    parser.add_argument("--lines", type=int, default=100, help="lines in one turn of the loop")
    parser.add_argument("--turns", type=int, default=20, help="turns in one run")
    parser.add_argument("--runs", type=int, default=9, help="runs of each way")
    options = parser.parse_args()
    print(f"{options.members} members, {options.lines} lines a turn, {encoded_size()} bytes a line")
    print(f"{'loop':8} {'way':11} {'median/s':>11} {'lowest':>11} {'highest':>11} {'CPU µs':>7}")
    for loop in LOOPS:
        results: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
        for _ in range(options.runs):
            for way in WAYS:
                results[way].append(
                    measure(loop, way, options.members, options.turns, options.lines)
                )
        for way in WAYS:
            rates, cpus = zip(*results[way], strict=True)
            print(
                f"{loop:8} {way:11} {statistics.median(rates):11,.0f} {min(rates):11,.0f} "
                f"{max(rates):11,.0f} {statistics.median(cpus):7.2f}"
            )


if __name__ == "__main__":
    main()
