"""The service manager's end of sd_notify(3): a real datagram socket that knows its senders."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Self

CREDENTIALS = struct.calcsize("3i")


class Manager:
    """Hears what a service says; `heard` is everything so far."""

    def __init__(self, path: Path | str) -> None:
        self.address = str(path)
        self.heard: list[str] = []
        self.senders: set[int] = set()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        where = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        self._socket.bind(where)
        self._unread: deque[str] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    async def hear(self, beginning: str) -> str:
        """The next message that begins so; those before it are passed over."""
        while True:
            while self._unread:
                message = self._unread.popleft()
                if message.startswith(beginning):
                    return message
            await self._readable()
            self.take()

    def take(self) -> None:
        """Read everything that waits in the queue."""
        while True:
            try:
                data, extra, _, _ = self._socket.recvmsg(4096, socket.CMSG_SPACE(CREDENTIALS))
            except BlockingIOError:
                return
            for _, kind, body in extra:
                if kind == socket.SCM_CREDENTIALS:
                    self.senders.add(struct.unpack("3i", body[:CREDENTIALS])[0])
            self.heard.append(data.decode())
            self._unread.append(data.decode())

    @property
    def states(self) -> list[str]:
        """What was heard of readiness and ends, in order, without the times."""
        kept = ("READY=", "RELOADING=", "STOPPING=")
        return [each.split("\n")[0] for each in self.heard if each.startswith(kept)]

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self._socket, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self._socket)
