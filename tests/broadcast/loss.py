"""A long feed over a bad way, to its end: ``python -m tests.broadcast.loss --datagrams 1000000``.

Everything has to arrive, in order, and it is told what that cost.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import time

from netkit.feeds.format import SIZE
from tests.broadcast.broadcasting import broadcasting
from tests.broadcast.hearing import LOOPBACK, hearing
from tests.broadcast.relay import Fate, relaying

HERE = f"{LOOPBACK}:0"
_SENT = re.compile(r"sent (\d+) payloads in (\d+) datagrams, (\d+) bytes.*sent again (\d+)")


async def carry(count: int, rate: int, loss: float, loop: str) -> str:
    """One feed; what there is to say of it. Raises AssertionError if anything is missing."""
    began = time.monotonic()
    async with hearing(HERE, "--stats-json", loop=loop) as listener:
        with relaying(listener.port, Fate(loss=loss)) as relay:
            to = "{}:{}".format(*relay.front.getsockname())
            arguments = ("--to", to, "--exec", f"seq -f %0100.0f 1 {count}", "--rate", f"{rate}/s")
            async with broadcasting(*arguments, loop=loop) as sender:
                for number in range(1, count + 1):
                    line = await listener.line()
                    expected = b"%0100d\n" % number
                    assert line == expected, f"{line[-20:]!r} in place of {number:,}"
                assert await listener.line() == b""
                await sender.ended()
    figures = listener.figures
    assert (figures["delivered"], figures["lost"]) == (count, 0)
    match = _SENT.search(sender.log)
    assert match
    again = int(match[4])
    first = int(match[3])
    return (
        f"{loop}: {count:,} datagrams in order, none lost for good, in "
        f"{time.monotonic() - began:.0f} s; lost on the way {relay.counts['lost']:,}, "
        f"sent again {again:,} ({again * (SIZE + 100) / first:.2%} more bytes), "
        f"repaired {figures['repaired']:,}"
    )


def main() -> None:
    """Carry one feed on each loop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datagrams", type=int, default=1_000_000)
    parser.add_argument("--rate", type=int, default=20_000, help="datagrams a second")
    parser.add_argument("--loss", type=float, default=0.05)
    parser.add_argument("--loop", action="append", choices=["asyncio", "uvloop"])
    wanted = parser.parse_args()
    for loop in wanted.loop or ["asyncio", "uvloop"]:
        told = asyncio.run(carry(wanted.datagrams, wanted.rate, wanted.loss, loop))
        sys.stdout.write(f"{told}\n")


if __name__ == "__main__":
    main()
