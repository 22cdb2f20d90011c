"""A connection before it has an author's protocol: a task of ours sees to that."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, ClassVar

from netkit.connections import Connection
from netkit.proxied import Proxied
from netkit.proxy_protocol import Header


class Beginning(Connection):
    """Counts as any connection, until a link or another beginning succeeds it."""

    accepted: socket.socket
    """The accepted socket, ours until a transport has it."""
    unfinished: ClassVar[str]
    """Why it ends if it is cut."""
    _task: asyncio.Task[None] | None = None

    async def go_on(self) -> None:
        """Do what is to be done first; if nothing succeeds it by then, it has ended."""
        raise NotImplementedError

    def begin(self) -> None:
        """See `Connection`."""
        self._task = asyncio.get_running_loop().create_task(self.go_on())
        self._task.add_done_callback(self._done)

    def _done(self, _: object = None) -> None:
        if self.connections.open.get(self.id) is self:
            self.lost()
            self._close()
            self.connections.end(self, None)

    def unsent(self) -> int:
        """Nothing of the author's is written yet."""
        return 0

    def vanished(self) -> bool:
        """Its task knows when it ends."""
        return False

    def end_input(self) -> None:
        """See `Connection`."""
        self.cut()

    def cut(self) -> None:
        """See `Connection`."""
        if self._task is None:  # refused
            self._close()
            return
        self.why = self.why or self.unfinished
        self._task.cancel()

    def _close(self) -> None:
        self.accepted.close()
        self.sock.close()


def hand_over(
    beginning: Beginning, transport: Any, make_link: Callable[[], Any], header: Header | None
) -> None:
    """Let a link begin on the transport, or drop that if the connection has ended.

    Behind a trusted proxy, which sent `header`, authors get a transport that
    names the real peer.
    """
    link = make_link()
    link.transport = transport if header is None else Proxied(transport, header)
    if not beginning.connections.succeed(beginning, link):
        transport.abort()
        return
    transport.set_protocol(link)
    link.begin()


class Successor(asyncio.Protocol):
    """Hears that the loop's transport is there, and hands over to the author's link."""

    def __init__(
        self, beginning: Beginning, make_link: Callable[[], Any], header: Header | None
    ) -> None:
        self._beginning = beginning
        self._make_link = make_link
        self._header = header

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        self._beginning.sock = transport.get_extra_info("socket")
        hand_over(self._beginning, transport, self._make_link, self._header)
