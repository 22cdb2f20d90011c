"""Waiting for what must come to its end before a cancellation may go on."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def to_its_end(future: asyncio.Future[T]) -> T:
    """Its result, however often we are cancelled meanwhile: whoever is cancelled, raises later.

    Only for what ends soon by itself, as a process after KILL does.
    """
    while not future.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([future])
    return future.result()
