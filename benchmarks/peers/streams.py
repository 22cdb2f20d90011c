"""The plain twin of netkit's streams: ``python -m benchmarks.peers.streams --loop uvloop``."""

from __future__ import annotations

import asyncio

from benchmarks.peers.loops import run


async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Echo one connection; netkit serves this same function."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def main() -> None:
    """Serve until killed."""
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    print("tcp://{}:{}".format(*server.sockets[0].getsockname()), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    run(main)
