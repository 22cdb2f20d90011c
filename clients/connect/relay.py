"""The session: our input to the socket, the socket to our output.

The rules, all here:

1. At the end of our input the peer is told (half-close), and we go on reading. Where the
   transport cannot tell (TLS, UDP), we only go on reading.
2. The peer's end is the session's end; everything that it sent is written out first.
3. Neither side runs ahead of the other: each chunk is handed over before the next is read.
4. Nothing either way for the idle timeout ends the session: in order after the end of our
   input where the peer could not be told of it, otherwise as an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from netkit.clients.connect.channel import Channel, DatagramChannel
from netkit.clients.connect.local import Local
from netkit.errors import NetworkError

Tap = Callable[[str, bytes], Awaitable[None]]
"""Is shown each chunk and its way: ``>`` sent, ``<`` received."""

# UDP has no end: an answer to our last datagram is waited for this long, in seconds.
LAST_ANSWER = 1.0


async def relay(
    local: Local,
    channel: Channel,
    *,
    idle: float | None = None,
    outgoing: Callable[[bytes], bytes] | None = None,
    taps: Sequence[Tap] = (),
) -> None:
    """Run the session until the peer ends it; the caller closes both sides.

    `idle` is in seconds. `outgoing` is applied to our input. Raises the `OSError` that broke
    the connection, `NetworkError` when idle, and what `local` raises.
    """
    try:
        async with asyncio.timeout(idle) as deadline:
            session = _Session(local, channel, idle, outgoing, taps, deadline)
            await session.run()
    except TimeoutError:
        if not deadline.expired():
            raise  # the connection itself timed out
        if not session.untold_end:
            raise NetworkError(f"idle: nothing came or went for {idle:g} s") from None


class _Session:
    def __init__(
        self,
        local: Local,
        channel: Channel,
        idle: float | None,
        outgoing: Callable[[bytes], bytes] | None,
        taps: Sequence[Tap],
        deadline: asyncio.Timeout,
    ) -> None:
        self.local, self.channel = local, channel
        self.idle, self.deadline = idle, deadline
        self.outgoing, self.taps = outgoing, taps
        self.untold_end = False
        """Our input has ended, and the peer does not know."""

    async def run(self) -> None:
        sending = asyncio.create_task(self.send())
        receiving = asyncio.create_task(self.receive())
        both = (sending, receiving)
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
            await receiving
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def send(self) -> None:
        while data := await self.local.read(self.channel.read_size):
            if self.outgoing:
                data = self.outgoing(data)
            try:
                await self.channel.write(data)
            except BrokenPipeError:
                return  # receive() hands over what came before, then tells why
            await self.moved(">", data)
        self.channel.end_sending()
        self.untold_end = not self.channel.half_close
        if self.idle is None and isinstance(self.channel, DatagramChannel):
            self.idle = LAST_ANSWER
        self.rest()

    async def receive(self) -> None:
        while (data := await self.channel.read()) is not None:
            await self.moved("<", data)
            await self.local.write(data)

    async def moved(self, way: str, data: bytes) -> None:
        for tap in self.taps:
            await tap(way, data)
        self.rest()

    def rest(self) -> None:
        if self.idle is not None:
            self.deadline.reschedule(asyncio.get_running_loop().time() + self.idle)
