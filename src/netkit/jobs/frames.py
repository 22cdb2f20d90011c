"""Frames of the runner's protocol (docs/runner-protocol.md): length, kind, job, payload.

::

    0               4      5               9
    +---------------+------+---------------+---------- … -+
    | length        | kind | job           | payload      |
    +---------------+------+---------------+---------- … -+

The length counts what follows it. Numbers are unsigned and in network byte order.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

VERSION = 1
"""Of the protocol."""

LONGEST = 64 * 1024
"""Bytes of a payload: a turn of the loop's worth, so that jobs on one connection take turns."""

HEAD = struct.Struct("!IBI")
_LENGTH = struct.Struct("!I")
_REST = HEAD.size - _LENGTH.size
LAST_JOB = 2**31 - 1


class Kind(IntEnum):
    """What a frame is; who may send it stands in docs/runner-protocol.md."""

    HELLO = 1
    START = 2
    QUEUED = 3
    STARTED = 4
    STDIN = 5
    STDIN_END = 6
    STDOUT = 7
    STDERR = 8
    LOST = 9
    CREDIT = 10
    SIGNAL = 11
    SIZE = 12
    EXIT = 13
    ERROR = 14
    LIST = 15
    LISTED = 16
    ATTACH = 17
    LEAVE = 18
    KILL = 19
    PING = 20
    PONG = 21


_KINDS = {int(kind): kind for kind in Kind}


class FrameError(Exception):
    """The peer does not keep to the protocol; the text says in what, for its author."""


class Frame(NamedTuple):
    """One frame; `job` is the client's number for the job, 0 for the connection itself."""

    kind: Kind
    job: int = 0
    payload: bytes = b""

    def pack(self) -> bytes:
        """The frame as it is sent."""
        return HEAD.pack(_REST + len(self.payload), self.kind, self.job) + self.payload


class Frames:
    """Takes bytes as they come and gives whole frames; holds at most one that is incomplete."""

    def __init__(self) -> None:
        self._held = bytearray()

    @property
    def held(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return len(self._held)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes, all of them to be taken before the next call.

        Raises `FrameError` at what is no frame, as soon as it shows: nothing more can be
        read from this peer then.
        """
        held = self._held
        held += data
        at = 0
        try:
            while (size := _size(held, at)) and len(held) - at >= size:
                _, kind, job = HEAD.unpack_from(held, at)
                payload = bytes(held[at + HEAD.size : at + size])
                at += size
                yield Frame(_KINDS[kind], job, payload)
        finally:
            del held[:at]


def _size(held: bytearray, at: int) -> int:
    """Bytes of the frame that begins at `at`, or 0 while that is not known."""
    there = len(held) - at
    if there < _LENGTH.size:
        return 0
    (length,) = _LENGTH.unpack_from(held, at)
    if not _REST <= length <= _REST + LONGEST:
        raise FrameError(f"a frame of {length} bytes; {_REST} to {_REST + LONGEST} are allowed")
    if there > _LENGTH.size and held[at + _LENGTH.size] not in _KINDS:
        raise FrameError(f"frame of unknown kind {held[at + _LENGTH.size]}")
    if there >= HEAD.size and (job := HEAD.unpack_from(held, at)[2]) > LAST_JOB:
        raise FrameError(f"job number {job}; at most {LAST_JOB} is allowed")
    return _LENGTH.size + int(length)
