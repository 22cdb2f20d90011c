"""What `netkit listen --record` has written, again and at the pace at which it was sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from netkit.errors import UsageError
from netkit.feeds import recording
from netkit.feeds.recording import Record
from netkit.servers.broadcast.sources.framing import TooLongError
from netkit.stdio import Lane

LINES = 256
"""Read at once by the thread that reads the file."""


async def replayed(path: Path, longest: int) -> AsyncGenerator[Sequence[bytes], None]:
    """The payloads of a recording, to its end. Raises `UsageError` for a line that is none."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise UsageError(f"--replay {path}: {error.strerror}") from None
    loop, lane = asyncio.get_running_loop(), Lane("replay")
    start, number = None, 0
    try:
        while lines := await lane.call(_some, file):
            for line in lines:
                number += 1
                record = _parsed(line, path, number, longest)
                if start is None:
                    start = loop.time() - record.time / 1e9
                # To an absolute time, so that no delay adds up; what is due goes out at once.
                if (wait := start + record.time / 1e9 - loop.time()) > 0:
                    await asyncio.sleep(wait)  # the record's own pace
                yield [record.payload]
    finally:
        lane.close(timeout=1.0)
        file.close()


def _some(file: BinaryIO) -> list[bytes]:
    return list(islice(iter(lambda: file.readline(recording.LONGEST + 1), b""), LINES))


def _parsed(line: bytes, path: Path, number: int, longest: int) -> Record:
    try:
        if len(line) > recording.LONGEST:
            raise ValueError("it is too long")
        record = recording.parse(line)
    except ValueError as error:
        raise UsageError(f"--replay {path}: line {number}: {error}") from None
    if len(record.payload) > longest:
        raise TooLongError("record", number, longest)
    return record
