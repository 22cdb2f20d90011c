"""The kernel spreads connections over workers; nobody of ours deals them out."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from netkit.limits import raise_descriptor_limit
from tests.runtime.process import LOOPS, serving
from tests.workers.crew import ON_TCP, WHO, serves, workers

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),
    pytest.mark.parametrize("loop", LOOPS),
]

CONNECTIONS = 1000
AT_ONCE = 50


async def test_a_thousand_connections_are_spread_within_a_fifth(loop: str, tmp_path: Path) -> None:
    path = tmp_path / "app.py"
    path.write_text(WHO)
    raise_descriptor_limit()
    permits = asyncio.Semaphore(AT_ONCE)
    async with serving(f"{path}:handle", *ON_TCP, "--workers", 2, loop=loop) as server:

        async def join(stack: ExitStack) -> int:
            async with permits:
                talker, pid = await serves(server.ports[0])
            stack.callback(talker.sock.close)
            return pid

        with ExitStack() as stack:
            served = Counter(await asyncio.gather(*(join(stack) for _ in range(CONNECTIONS))))
        assert set(served) == workers(server)
        # A fair coin thrown 1,000 times is off by more than 100 with a chance of 1.8e-10
        # (binomial, standard deviation 15.8).
        equal = CONNECTIONS / 2
        assert all(abs(share - equal) <= 0.2 * equal for share in served.values()), served
