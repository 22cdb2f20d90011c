"""``--loop asyncio|uvloop`` for the plain servers."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Coroutine

import uvloop

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}


def run(main: Callable[[], Coroutine[object, object, None]]) -> None:
    """Run `main` on the loop that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--loop", choices=LOOPS, default="asyncio")
    with asyncio.Runner(loop_factory=LOOPS[parser.parse_args().loop]) as runner:
        runner.run(main())
