"""Remarks on standard error that hold up nothing, should nobody read them."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from netkit.clients.listen.output.outlet import Outlet
from netkit.stdio import Streams

PATIENCE = 1.0
"""Seconds for the last ones at the end."""
MOST_WAITING = 64 * 1024


class Saying:
    """Writes lines to `stderr`, a descriptor (None: closed) that stays open."""

    def __init__(self, stderr: int | None) -> None:
        self._stderr = stderr

    async def __aenter__(self) -> Self:
        self._streams = Streams(None, None, self._stderr)
        self._outlet = Outlet(self._write, MOST_WAITING)
        self._writing = asyncio.get_running_loop().create_task(self._outlet.run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._outlet.close()
        await asyncio.wait([self._writing], timeout=PATIENCE)
        self._writing.cancel()
        await asyncio.gather(self._writing, return_exceptions=True)
        self._streams.close()

    def say(self, line: str) -> None:
        """Write a line."""
        self._outlet.put(f"{line}\n".encode())

    async def _write(self, data: bytes) -> None:
        await self._streams.note(data.decode())
