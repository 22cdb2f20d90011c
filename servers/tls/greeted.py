"""An upstream's greeting, where its client was greeted by us: before STARTTLS (--starttls).

It is read from the raw socket, before a transport is made of that: so it belongs to
reaching an upstream, has the time of that, and one that turns everyone away is one that
could not be reached.
"""

from __future__ import annotations

import asyncio
import socket

from netkit.starttls import Greeting, WrongGreetingError

CHUNK = 4096


async def take_greeting(sock: socket.socket, protocol: str) -> None:
    """Read it to its end from a connected socket. Raises OSError if it is no welcome."""
    greeting, loop = Greeting(protocol), asyncio.get_running_loop()
    while not greeting.over:
        data = await loop.sock_recv(sock, CHUNK)
        if not data:
            raise OSError("it ended before its greeting")
        try:
            greeting.feed(data)
        except WrongGreetingError as error:
            raise OSError(str(error)) from None
