"""What a server says at one time, asked over its admin endpoint."""

from __future__ import annotations

import asyncio

from netkit.addresses import Address
from netkit.cli.admin_client import ask_json
from netkit.cli.top.rates import Sample
from netkit.errors import UsageError

WAIT = 10.0
"""Seconds for an answer; a server waits 2 s for a worker that is held up."""

SHORTEST, LONGEST = 0.1, 3600.0
"""Seconds from one sample to the next."""


def checked_interval(seconds: float, what: str = "") -> float:
    """The same, in seconds, or a `UsageError` for one that cannot be."""
    if not SHORTEST <= seconds <= LONGEST:  # so that nan fails too
        raise UsageError(f"{what}{seconds:g}: give {SHORTEST:g} to {LONGEST:g} seconds")
    return seconds


async def sampled(address: Address) -> Sample:
    """Raises `NetworkError` if it does not answer, `UsageError` if it is no such server."""
    server, connections = await asyncio.gather(
        ask_json(address, "/workers", wait=WAIT), ask_json(address, "/connections", wait=WAIT)
    )
    if not isinstance(server, dict) or not isinstance(connections, list):
        raise UsageError(f"{address}: no admin endpoint of this netkit")
    return Sample(server, connections)
