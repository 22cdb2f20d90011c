"""A connection in the clear, until its client asks for TLS.

The dialogue is spoken on the raw socket, before TLS and before the loop makes a
transport of it: peeked at, and then taken to the end of a line and no further. So there
is no buffer of ours in which an injected command could outlive the switch: whatever was
not taken is still in the kernel, and the TLS handshake is the next that reads there.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from netkit.beginnings import Beginning
from netkit.connections import Connection, Connections
from netkit.handshakes import Handshake
from netkit.introductions import peek
from netkit.lingering import linger
from netkit.peernames import unix_peer
from netkit.proxy_protocol import Header
from netkit.starttls.dialogue import CLIENT_HELLO, Dialogue, Reply

LAST_WORDS = 1.0
"""Seconds for a peer to take in what was said last, before its connection is closed."""


class Cleartext(Beginning):
    """A connection until STARTTLS; then a TLS handshake succeeds it, or it ends.

    It counts from its acceptance, and so does its time.
    """

    unfinished = "shut down before STARTTLS"
    _header: Header | None = None
    """What a trusted proxy said of it."""

    def __init__(
        self,
        connections: Connections,
        listener: str,
        dialogue: Dialogue,
        make_handshake: Callable[[], Handshake],
    ) -> None:
        self.connections = connections
        self.listener = listener
        self._dialogue = dialogue
        self._make_handshake = make_handshake

    def take(self, sock: socket.socket, peername: Any) -> None:
        """Take over an accepted socket: it counts from now on, or is refused and closed."""
        self._peername = unix_peer(sock) if sock.family == socket.AF_UNIX else peername
        self.accepted = self.sock = sock
        self.connections.arrive(self)

    def take_over(self, introduced: Connection, sock: socket.socket, header: Header) -> None:
        """Go on with a connection that has arrived already, once its proxy's header was read."""
        self.accepted = sock
        self._header = header
        self.connections.succeed(introduced, self)
        self.begin()

    async def go_on(self) -> None:
        """Speak until STARTTLS, then have hands shaken."""
        limit = self.connections.limits.handshake
        try:
            async with asyncio.timeout_at(self.began + limit):
                secure = await self._converse()
        except TimeoutError:
            self._leave(f"no STARTTLS within {limit:g} s (--limit-handshake)")
        except asyncio.CancelledError:
            self._leave("shut down")
            raise
        except OSError as error:
            self.why = self.why or f"{os.strerror(error.errno or 0)} before STARTTLS"
        else:
            if secure:
                self._shake_hands()

    async def _converse(self) -> bool:
        """Whether TLS comes next; if not, all is said."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self.sock, self._dialogue.welcome())
        while (reply := await hear(self.sock, self._dialogue)) is not None:
            if reply.then == "handshake":
                reply = self._switch(reply)
            await loop.sock_sendall(self.sock, reply.text)
            if reply.then == "handshake":
                return True
            if reply.then == "end":
                self.why = self.why or reply.why
                await linger(self.sock, LAST_WORDS)
                return False
        self.why = self.why or "ended before STARTTLS"
        return False

    def _switch(self, reply: Reply) -> Reply:
        answer = self._dialogue.switch(reply, waiting(self.sock, len(CLIENT_HELLO)))
        if answer is not reply:
            self.connections.refused["starttls-injection"] += 1
        return answer

    def _leave(self, why: str) -> None:
        """Say goodbye to one that waits for nothing, as far as its socket takes it at once."""
        self.why = self.why or why
        if self._dialogue.speaks_unasked:
            with suppress(OSError):
                self.sock.send(self._dialogue.goodbye(why))

    def _shake_hands(self) -> None:
        try:
            self._make_handshake().take_over(self, self.sock, self._header)
        except OSError as error:  # no descriptor is left
            self.why = os.strerror(error.errno or 0)


async def hear(sock: socket.socket, dialogue: Dialogue) -> Reply | None:
    """Have a dialogue take one line from a non-blocking socket; None at the end of input.

    What comes behind the line is left there. Raises OSError if the connection is reset.
    """
    reply = None
    while reply is None:
        data = await peek(sock, dialogue.wanted)
        if not data:
            return None
        taken, reply = dialogue.feed(data)
        while taken:
            taken -= len(sock.recv(taken))
    return reply


def waiting(sock: socket.socket, most: int) -> bytes:
    """What has arrived by now, and is left there."""
    try:
        return sock.recv(most, socket.MSG_PEEK)
    except (BlockingIOError, InterruptedError):
        return b""
