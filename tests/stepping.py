"""Steps on a socket, for a test that waits for them."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from netkit.steps import Stepping, Steps

T = TypeVar("T")


async def stepped(descriptor: int, steps: Steps[T]) -> T:
    """Take all steps; raises what they raise."""
    done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    stepping = Stepping(descriptor, steps, done.set_result, done.set_exception)
    stepping.go_on()
    try:
        return await done
    finally:
        stepping.stop()
