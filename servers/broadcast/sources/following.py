"""A file as it grows, as ``tail -F`` follows it: also when it is replaced or cut short."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from pathlib import Path

from netkit.errors import UsageError
from netkit.servers.broadcast.sources.framing import Lines
from netkit.stdio import Lane

LOOK = 0.2
"""Seconds between looks at a file that has not grown: no kernel tells of a file on every disk."""

CHUNK = 64 * 1024


class Follower:
    """A file that is read on from its end. Its calls block, so a thread makes them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise UsageError(f"--follow {path}: {error.strerror}") from None
        os.lseek(self._file, 0, os.SEEK_END)

    def read(self) -> bytes:
        """What was added; empty if nothing was."""
        if data := os.read(self._file, CHUNK):
            return data
        with suppress(FileNotFoundError):  # it is being replaced
            self._take_up(self._path.stat())
        return os.read(self._file, CHUNK)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _take_up(self, now: os.stat_result) -> None:
        ours = os.fstat(self._file)
        if (ours.st_dev, ours.st_ino) != (now.st_dev, now.st_ino):
            replacement = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            os.close(self._file)
            self._file = replacement
        elif os.lseek(self._file, 0, os.SEEK_CUR) > ours.st_size:  # it was cut short
            os.lseek(self._file, 0, os.SEEK_SET)


async def following(path: Path, longest: int) -> AsyncGenerator[Sequence[bytes], None]:
    """Lines that are added to the file from now on, for ever. Raises `UsageError`."""
    follower, lane, split = Follower(path), Lane("follow"), Lines(longest)
    try:
        while True:
            data = await lane.call(follower.read)
            if payloads := split.feed(data):
                yield payloads
            if not data:
                await asyncio.sleep(LOOK)  # the pace of looking
    finally:
        lane.close(timeout=1.0)  # it must not read on from a descriptor that is closed
        follower.close()
