"""The audit log: a line for each job before it starts, and one when it has ended.

JSON, one object a line. To a file, or where none is named to netkit's own log. The line of a start
is on the disk (fdatasync(2)) before the program runs; if it cannot be written there, the
job is not started. The line of an end and that of a refusal are written, but not waited for.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from netkit.errors import StartError
from netkit.stdio import Lane

log = logging.getLogger("netkit.server")


class Audit:
    """The log; `close` ends its thread."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lane = Lane("audit") if path else None

    async def open(self) -> None:
        """Try the file. Raises `StartError`."""
        try:
            await self._append(b"", sync=True)
        except OSError as error:
            raise StartError(f"--audit {self._path}: {error.strerror}") from None

    async def start(self, **what: Any) -> None:
        """Record what will be started, to the disk. Raises `OSError`."""
        await self._append(_line("start", what), sync=True)

    async def end(self, **what: Any) -> None:
        """Record how it ended."""
        await self._told(_line("end", what))

    async def refused(self, **what: Any) -> None:
        """Record what was not started."""
        await self._told(_line("refused", what))

    def close(self) -> None:
        """End the thread, after what it still has to write."""
        if self._lane:
            self._lane.close(timeout=5.0)

    async def _told(self, line: bytes) -> None:
        with suppress(OSError):  # logged already
            await self._append(line, sync=False)

    async def _append(self, line: bytes, *, sync: bool) -> None:
        if self._lane is None or self._path is None:
            if line:
                log.info("audit %s", line.decode().rstrip("\n"))
            return
        try:
            await self._lane.call(_write, self._path, line, sync)
        except OSError as error:
            log.error("--audit %s: %s; no job starts until this is mended", self._path, error)
            raise


def _line(event: str, what: Mapping[str, Any]) -> bytes:
    when = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    # ASCII: what a caller has chosen can neither break a line nor steer a terminal.
    return json.dumps({"time": when, "event": event, **what}).encode() + b"\n"


def _write(path: Path, line: bytes, sync: bool) -> None:
    # Opened each time: whoever rotates it just renames it.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        left = memoryview(line)
        while left:
            left = left[os.write(descriptor, left) :]
        if sync:
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
