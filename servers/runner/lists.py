"""The list in force, and the file that it came from.

A file that was changed is put in force once two looks find it the same: one that is being
written may look whole, and lack the line that says as which user a command runs. It holds for
new jobs; those that run keep what they were started with. A file that is wrong changes
nothing, and is told of once.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from netkit.errors import UsageError
from netkit.servers.runner.allowlist import AllowList, load

log = logging.getLogger("netkit.server")

Stamp = tuple[int, int, int, int, int]


class List:
    """What may be run now."""

    def __init__(self, path: Path | None) -> None:
        """Read the file; without one nothing may be run. Raises `UsageError`."""
        self._path = path
        self._stamp = _stamp(path)
        self._seen = self._stamp
        """Of the file at the last look."""
        self.current = load(path) if path else AllowList({})

    async def look(self) -> None:
        """Put the file in force if it has changed, and not since the last look."""
        stamp, seen = _stamp(self._path), self._seen
        self._seen = stamp
        if self._path is None or stamp == self._stamp or stamp != seen:
            return
        try:
            self.current = await asyncio.to_thread(load, self._path)
        except UsageError as error:
            log.error("%s; the list before it stays in force", error)
        else:
            log.info("%s: now in force, commands: %d", self._path, len(self.current))
        self._stamp = stamp


def _stamp(path: Path | None) -> Stamp | None:
    try:
        found = path.stat() if path else None
    except OSError:
        return None
    if found is None:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode, found.st_uid
