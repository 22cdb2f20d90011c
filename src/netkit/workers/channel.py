"""A socket pair between supervisor and worker: each message is one line of JSON.

Worker to supervisor: ``ready``, ``failed`` with `why` and `status`, ``beat`` with
`figures`, ``answer`` with `to` and `value`, ``last`` with `figures` and `authored`.
Supervisor to worker: ``retire``, ``hurry``, ``ask`` with `number` and `what`. The
end of the channel says that the other side is gone.
"""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

LONGEST = 64 * 2**20
"""Bytes of one message; a connection takes about 250 in a listing of all."""


class Channel:
    """One end of the pair. `close` closes its socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, sock: socket.socket) -> Channel:
        """Speak over one socket of a pair, which is the channel's from now on."""
        reader, writer = await asyncio.open_connection(sock=sock, limit=LONGEST)
        writer.transport.set_write_buffer_limits(high=0)  # so that drain() waits for it all
        return cls(reader, writer)

    def say(self, what: str, /, **more: Any) -> None:
        """Send a message; if the other side is gone, nobody hears it."""
        if self._writer.is_closing():  # since the other side hung up; uvloop's would raise
            return
        self._writer.write(json.dumps({"is": what, **more}).encode() + b"\n")

    async def hear(self) -> dict[str, Any] | None:
        """The next message, or None when the other side is gone."""
        try:
            line = await self._reader.readline()
            return json.loads(line) if line.endswith(b"\n") else None
        except (OSError, ValueError):
            return None

    async def flushed(self) -> None:
        """Wait until what was said is with the kernel."""
        try:
            await self._writer.drain()
        except OSError:
            return

    def close(self) -> None:
        """Hang up."""
        self._writer.close()
