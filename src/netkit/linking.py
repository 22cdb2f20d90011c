"""Which link a listener's connections get."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from netkit import kernel
from netkit.connections import Connections
from netkit.counting import CountingProtocolLink, CountingStreamLink
from netkit.links import ProtocolLink, StreamLink
from netkit.service import ProtocolFactory, StreamHandler
from netkit.targets import is_handler


def links(
    connections: Connections, listener: str, target: StreamHandler | ProtocolFactory
) -> Callable[[], Any]:
    """Make what makes the links of one listener: a class that holds what all of them share."""
    counts = kernel.COUNTS and not listener.startswith("unix:")
    shared: dict[str, Any] = {"connections": connections, "listener": listener}
    kind: type
    if is_handler(target):
        kind = StreamLink if counts else CountingStreamLink
        shared |= {"handler": staticmethod(target), "loop": asyncio.get_running_loop()}
    else:
        kind = ProtocolLink if counts else CountingProtocolLink
        shared["factory"] = staticmethod(target)
    return type(kind.__name__, (kind,), shared)
