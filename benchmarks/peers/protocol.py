"""The plain twin of ``netkit serve echo``: ``python -m benchmarks.peers.protocol``."""

from __future__ import annotations

import asyncio
from typing import cast

from benchmarks.peers.loops import run


class Echo(asyncio.Protocol):
    """Echo one connection with nothing else: no limit, no backpressure, no log."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Send it back."""
        self.transport.write(data)


async def main() -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    print("tcp://{}:{}".format(*server.sockets[0].getsockname()), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    run(main)
