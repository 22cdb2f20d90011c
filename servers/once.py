"""Say one thing, then close so that it arrives: daytime, qotd and time over TCP.

Writing and closing at once is not enough. If the peer has sent anything that we have not
read, as ``echo | nc`` does, the kernel closes with a reset, and a reset may overtake the
answer and destroy it (RFC 1122, section 4.2.2.13). So we end our side, throw away what the
peer sends, and close when it ends its own side or has had `LINGER` seconds to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

LINGER: Final = 2.0
"""Seconds for the peer to end its side: a few round trips, and few sockets held for idlers."""


class SayOnce(asyncio.Protocol):
    """Sends `say()` to whoever connects, ignores what it sends, and closes."""

    def __init__(self, say: Callable[[], bytes]) -> None:
        self.say = say

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the answer and end our side."""
        transport = cast("asyncio.Transport", transport)
        transport.write(self.say())
        self.timer = asyncio.get_running_loop().call_later(LINGER, transport.close)
        if transport.can_write_eof():
            transport.write_eof()
        else:  # TLS has no half-close; its close_notify goes out behind the answer
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the timer."""
        self.timer.cancel()
