"""Which event loop: asyncio's default, uvloop, or somebody's own.

Loops are made by factories for `asyncio.Runner`; event loop policies are
deprecated since Python 3.12.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable

from netkit.errors import UsageError

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def loop_factory(name: str = "auto") -> LoopFactory:
    """Factory for auto (uvloop where it imports), asyncio, uvloop or ``module:factory``.

    Raises `UsageError` if it cannot be had.
    """
    if name == "asyncio":
        return asyncio.SelectorEventLoop
    if name in ("auto", "uvloop"):
        try:
            import uvloop
        except ImportError:
            if name == "auto":
                return asyncio.SelectorEventLoop
            raise UsageError("--loop uvloop: uvloop is not installed: pip install uvloop") from None
        return uvloop.new_event_loop
    module, colon, attribute = name.partition(":")
    if not colon:
        raise UsageError(f"--loop {name}: give auto, asyncio, uvloop or module:factory")
    try:
        factory = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"--loop {name}: {error}") from None
    if not callable(factory):
        raise UsageError(f"--loop {name}: {attribute} is not callable; name a loop factory")
    return factory  # type: ignore[no-any-return]  # whatever it makes is checked by the Runner


def is_uvloop(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether `loop` is uvloop's, without importing uvloop."""
    return f"{type(loop).__module__}.".startswith("uvloop.")
