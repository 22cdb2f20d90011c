"""Many datagrams in one system call (recvmmsg(2)), which Python does not have.

What it has takes 2 µs for each datagram, half of it for the address of its source, which is
mostly that of the one before. Here the kernel writes each into a slot of its own. A slot is as
long as what came last, and the next begins where it ends, so that datagrams of one size stand
one behind the other, a run without a copy. What is longer goes on in a second place.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from functools import lru_cache
from mmap import mmap
from typing import Any

from netkit.feeds.resolving import Where

SLOTS = 64
"""Datagrams, or runs of them, in one call."""

_ROOM = 65_536  # no datagram and no run is longer
_NEAR = 4 * _ROOM  # as much as stays in a processor's nearer caches
_NAME = 32  # for a struct sockaddr_in6, of 28 bytes
_SIZE = struct.Struct("=i")
_TOLD = socket.CMSG_SPACE(_SIZE.size) if hasattr(socket, "CMSG_SPACE") else 0
_CMSG = socket.CMSG_LEN(0) if hasattr(socket, "CMSG_LEN") else 0
_V4, _V6 = struct.Struct("!H4s"), struct.Struct("!HI16s")


class _Part(ctypes.Structure):
    """A struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """A struct msghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("parts", ctypes.c_void_p),
        ("part_count", ctypes.c_size_t),
        ("told", ctypes.c_void_p),
        ("told_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """A struct mmsghdr."""

    _fields_ = (("header", _Header), ("length", ctypes.c_uint))


class Slots:
    """Room for what comes to a socket. `runs`: whether UDP_GRO is on, so that it may be runs."""

    def __init__(self, sock: socket.socket, *, runs: bool) -> None:
        self._sock, self._family = sock, int(sock.family)
        self._recvmmsg = ctypes.CDLL(None, use_errno=True).recvmmsg
        self._near, self._far = bytearray(_NEAR), mmap(-1, SLOTS * _ROOM)  # taken when touched
        self._names, self._told = bytearray(SLOTS * _NAME), bytearray(SLOTS * _TOLD)
        self._parts = (_Part * (2 * SLOTS))()
        self._messages = (_Message * SLOTS)()
        near, far, names, told, parts = map(
            _address, (self._near, self._far, self._names, self._told, self._parts)
        )
        self._at = near
        for number, message in enumerate(self._messages):
            header = message.header
            header.name, header.name_length = names + number * _NAME, _NAME
            header.parts, header.part_count = parts + 2 * number * ctypes.sizeof(_Part), 2
            if runs:
                header.told, header.told_length = told + number * _TOLD, _TOLD
            second = self._parts[2 * number + 1]
            second.base, second.length = far + number * _ROOM, _ROOM
        # The kernel writes lengths where it has read them: they are put back before each call.
        self._before = bytes(self._messages)
        raw = memoryview(self._messages).cast("B")
        step = ctypes.sizeof(_Message)
        self._raw = raw
        self._lengths = raw.cast("I")[_Message.length.offset // 4 :: step // 4]
        told_at = _Message.header.offset + _Header.told_length.offset
        word = ctypes.sizeof(ctypes.c_size_t)
        self._were_told = raw.cast("P")[told_at // word :: step // word]
        self._cuts = memoryview(self._told).cast("i")[_CMSG // 4 :: _TOLD // 4]
        self._view = memoryview(self._near)
        self._size = self._count = 0
        self._lay_out(2048)

    def receive(self) -> int:
        """Receive what is there, in one call: how many came. Raises `OSError`.

        If they are fewer than `room`, nothing more was there.
        """
        self._raw[:] = self._before
        count: int = self._recvmmsg(
            self._sock.fileno(), self._messages, self._count, socket.MSG_DONTWAIT, None
        )
        if count < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return count

    @property
    def room(self) -> int:
        """How many one call receives at most."""
        return self._count

    def runs(self, count: int) -> Iterator[tuple[memoryview, int, Where]]:
        """What came, as runs: a view, the size of its datagrams, their source.

        Datagrams of one size and source are joined. The views are good until the next call
        of `receive`.
        """
        lengths = self._lengths[:count].tolist()
        cuts = self._sizes(lengths)
        names = self._sources(count)
        start = 0
        while start < count:
            length, cut, name = lengths[start], cuts[start], names[start]
            stop = start + 1
            if length == self._size and not length % cut:  # the next one begins where it ends
                while (
                    stop < count
                    and lengths[stop] == length
                    and cuts[stop] == cut
                    and names[stop] == name
                ):
                    stop += 1
            yield self._joined(start, stop, length), cut, _where(self._family, name)
            start = stop
        self._suit(lengths)

    def _sources(self, count: int) -> list[bytes]:
        every = bytes(self._names[: count * _NAME])
        if every == every[:_NAME] * count:
            return [every[:_NAME]] * count
        return [every[at : at + _NAME] for at in range(0, len(every), _NAME)]

    def _sizes(self, lengths: list[int]) -> list[int]:
        """Of the datagrams in each: the kernel tells where there are several."""
        were_told = self._were_told[: len(lengths)].tolist()
        if not any(were_told):
            return lengths
        cuts = self._cuts[: len(lengths)].tolist()
        told = zip(cuts, were_told, lengths, strict=True)
        return [cut if is_run else length for cut, is_run, length in told]

    def _joined(self, start: int, stop: int, length: int) -> memoryview:
        near = start * self._size
        if length <= self._size:
            return self._view[near : near + (stop - start) * length]
        far = start * _ROOM
        rest = self._far[far : far + length - self._size]
        return memoryview(self._near[near : near + self._size] + rest)

    def _suit(self, lengths: list[int]) -> None:
        """Have slots for more of what came now."""
        length = lengths[0]
        if (
            length != self._size
            and length
            and (len(lengths) > 1 or length > self._size)
            and lengths.count(length) == len(lengths)
        ):
            self._lay_out(length)

    def _lay_out(self, size: int) -> None:
        self._size, self._count = size, min(SLOTS, _NEAR // size)
        for number in range(self._count):
            first = self._parts[2 * number]
            first.base, first.length = self._at + number * size, size


def _address(buffer: Any) -> int:
    """Of what may be written; it keeps its place, and must outlive who writes there."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


@lru_cache(1024)
def _where(family: int, name: bytes) -> Where:
    """A sockaddr as Python writes it."""
    if family == socket.AF_INET:
        port, host = _V4.unpack_from(name, 2)
        return socket.inet_ntoa(host), port
    port, flow, host = _V6.unpack_from(name, 2)
    (scope,) = struct.unpack_from("=I", name, 24)
    return socket.inet_ntop(socket.AF_INET6, host), port, flow, scope
