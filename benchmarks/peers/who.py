"""A handler that says which process serves."""

from __future__ import annotations

import asyncio
import os


async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say it, then wait for the client to leave."""
    writer.write(b"%d\n" % os.getpid())
    await reader.read()
