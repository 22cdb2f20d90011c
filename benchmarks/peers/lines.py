"""A handler that gives its peer some seconds for each line, as every handler of lines should."""

from __future__ import annotations

import asyncio

LINE_SECONDS = 5.0


async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Echo lines; whoever takes longer for one is let go."""
    while True:
        async with asyncio.timeout(LINE_SECONDS):
            line = await reader.readline()
        if not line:
            return
        writer.write(line)
        await writer.drain()
