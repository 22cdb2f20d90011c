"""A way between broadcaster and listener that loses, doubles and misplaces datagrams.

It counts exactly what it did, of data alone: what was lost of them is what a listener has to miss.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from netkit.feeds.format import Kind

READS = 256
BEHIND = 3
"""A misplaced datagram comes behind so many later ones."""


@dataclass(frozen=True)
class Fate:
    """What happens to datagrams either way, in shares from 0 to 1."""

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0


class Relay:
    """The broadcaster sends to `front`; the listener at `to` hears it from `back`."""

    def __init__(self, to: tuple[str, int], fate: Fate, seed: int = 1) -> None:
        self.counts: Counter[str] = Counter()
        self._to, self._fate = to, fate
        self._dice = random.Random(seed)
        self._sender: tuple[str, int] | None = None
        self._misplaced: list[tuple[int, bytes]] = []
        self._position = 0
        self.front, self.back = _socket(), _socket()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.front, self._there)
        self._loop.add_reader(self.back, self._back_again)

    def close(self) -> None:
        """Carry no more."""
        for sock in (self.front, self.back):
            self._loop.remove_reader(sock)
            sock.close()

    def _there(self) -> None:
        for _ in range(READS):
            try:
                datagram, self._sender = self.front.recvfrom(65_536)
            except BlockingIOError:
                return
            self._carry(datagram)

    def _carry(self, datagram: bytes) -> None:
        data = datagram[2] & 15 == Kind.DATA
        self._position += 1
        if self._dice.random() < self._fate.loss:
            self.counts["lost"] += data
        elif self._dice.random() < self._fate.reorder:
            self._misplaced.append((self._position + BEHIND, datagram))
        else:
            self._emit(datagram)
        while self._misplaced and self._misplaced[0][0] <= self._position:
            self._emit(self._misplaced.pop(0)[1])

    def _emit(self, datagram: bytes) -> None:
        twice = self._dice.random() < self._fate.duplicate
        for _ in range(1 + twice):
            self.back.sendto(datagram, self._to)

    def _back_again(self) -> None:
        for _ in range(READS):
            try:
                datagram = self.back.recv(65_536)
            except BlockingIOError:
                return
            except ConnectionRefusedError:  # the listener has ended
                continue
            if self._dice.random() >= self._fate.loss and self._sender is not None:
                self.front.sendto(datagram, self._sender)


@contextmanager
def relaying(port: int, fate: Fate, seed: int = 1) -> Iterator[Relay]:
    """Carry to a listener on this port of loopback, for the length of the block."""
    relay = Relay(("127.0.0.1", port), fate, seed)
    try:
        yield relay
    finally:
        relay.close()


def _socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock
