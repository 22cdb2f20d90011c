"""Bytes from a file to wherever a descriptor leads; every call here may block."""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Iterator, Sequence
from typing import NamedTuple

MANY = 1 << 30
"""Bytes that one sendfile(2) is asked for."""
CHUNK = 1 << 20

REFUSED = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF})
"""sendfile(2) will not write there: a file opened to be appended to, some devices."""


class Part(NamedTuple):
    """A stretch of a file."""

    fd: int
    offset: int
    size: int


def send(part: Part, to: int) -> None:
    """Copy it, by the kernel alone where that can be."""
    offset, end = part.offset, part.offset + part.size
    while offset < end:
        try:
            sent = os.sendfile(to, part.fd, offset, min(end - offset, MANY))
        except BlockingIOError:
            _wait(to)
            continue
        except OSError as error:
            if error.errno not in REFUSED:
                raise
            read_and_write(Part(part.fd, offset, end - offset), to)
            return
        if not sent:  # somebody cut it short meanwhile
            return
        offset += sent


def read_and_write(part: Part, to: int) -> None:
    """Copy it through our memory."""
    for data in chunks(part):
        write(to, [data])


def chunks(part: Part) -> Iterator[bytes]:
    """What stands there, piece by piece."""
    offset, end = part.offset, part.offset + part.size
    while offset < end and (data := os.pread(part.fd, min(end - offset, CHUNK), offset)):
        offset += len(data)
        yield data


def write(to: int, pieces: Sequence[bytes | memoryview]) -> None:
    """Write all of them."""
    left = [memoryview(piece) for piece in pieces if piece]
    while left:
        try:
            written = os.writev(to, left)
        except BlockingIOError:  # somebody else made it non-blocking
            _wait(to)
            continue
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if written:
            left[0] = left[0][written:]


def _wait(fd: int) -> None:
    waiting = select.poll()
    waiting.register(fd, select.POLLOUT)
    waiting.poll()
