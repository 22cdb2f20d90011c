"""A wire between two hosts that loses, doubles and delays datagrams: `tc netem`'s stand-in.

Not every kernel has netem. A wire is a process between two tap devices, and tells exactly
what it did: ``python -m tests.broadcast.wire DEVICE DEVICE``. What goes from the first
to the second suffers; only UDP does, so that ARP and IPv6's own messages cannot blur a count.
A line on stdin, `Impairment` as JSON, changes what is done from then on; the answer is
`Counts` of what was done before, as a line on stdout.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import select
import struct
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000  # linux/if_tun.h
BEHIND = 5
"""A datagram out of order comes after so many later ones, or when nothing comes any more."""
QUIET = 5
"""Milliseconds after which nothing comes any more."""
ROOM = 65_600


@dataclass(frozen=True)
class Impairment:
    """What happens to datagrams, in shares from 0 to 1; the dice are thrown from `seed`."""

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    seed: int = 1


@dataclass
class Counts:
    """What happened to datagrams. Those that were doubled or out of order are passed, too."""

    passed: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0


@dataclass
class Direction:
    """From the first device to the second."""

    out: int
    chances: Impairment
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.chances.seed)
        self.held: list[tuple[int, bytes]] = []
        self.position = 0

    def carry(self, frame: bytes) -> None:
        """Do to one frame what the dice say."""
        if not is_udp(frame):
            self.emit(frame)
            return
        self.position += 1
        if self.dice.random() < self.chances.loss:
            self.counts.lost += 1
        elif self.dice.random() < self.chances.reorder:
            self.held.append((self.position + BEHIND, frame))
        else:
            self.pass_on(frame)
        while self.held and self.held[0][0] <= self.position:
            self.counts.reordered += 1
            self.pass_on(self.held.pop(0)[1])

    def pass_on(self, frame: bytes) -> None:
        """Deliver, sometimes twice."""
        self.emit(frame)
        self.counts.passed += 1
        if self.dice.random() < self.chances.duplicate:
            self.emit(frame)
            self.counts.duplicated += 1

    def emit(self, frame: bytes) -> None:
        """Out of the device, if it is up yet."""
        with suppress(OSError):  # EIO: it is down, nobody is there
            os.write(self.out, frame)

    def settle(self) -> None:
        """Deliver what is still held: it is late, and behind nobody."""
        while self.held:
            self.pass_on(self.held.pop(0)[1])


def is_udp(frame: bytes) -> bool:
    """Whether an Ethernet frame holds UDP, in IPv4 or right behind IPv6's header."""
    kind = frame[12:14]
    return (kind == b"\x08\x00" and frame[23] == 17) or (kind == b"\x86\xdd" and frame[20] == 17)


def tap(name: str) -> int:
    """A new device; what is sent through it is read here, what is written here is received."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
    # A packet of IPv6 for each device that appears would be the first thing on the wire.
    Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")
    return descriptor


def carry(source: int, direction: Direction) -> bool:
    """Carry some of what is there; whether there may be more."""
    for _ in range(256):  # then the other direction
        try:
            frame = os.read(source, ROOM)
        except BlockingIOError:
            return False
        direction.carry(frame)
    return True


def say(line: str) -> None:
    """One line on stdout."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(first: str, second: str) -> None:
    """Carry until stdin ends."""
    one, other = tap(first), tap(second)
    there, back = Direction(other, Impairment()), Direction(one, Impairment())
    poll = select.poll()
    for descriptor in (one, other, sys.stdin.fileno()):
        poll.register(descriptor, select.POLLIN)
    say("ready")
    while True:
        ready = [descriptor for descriptor, _ in poll.poll(QUIET if there.held else None)]
        if one in ready:
            carry(one, there)
        else:
            there.settle()
        if other in ready:
            carry(other, back)
        if sys.stdin.fileno() in ready:
            line = sys.stdin.buffer.readline()
            if not line:
                return
            while carry(one, there):  # all that was sent before we were asked
                pass
            there.settle()
            say(json.dumps(asdict(there.counts)))
            if wanted := json.loads(line):
                there = Direction(other, Impairment(**wanted))


if __name__ == "__main__":
    main(*sys.argv[1:])
