"""Feeds by the names that they announce: ``netkit listen 'Line 3'``."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from netkit.clients.listen.settings import Where
from netkit.errors import UsageError
from netkit.feeds import mdns
from netkit.feeds.discovery import Announced
from netkit.loops import loop_factory

WAIT = 5.0
"""Seconds to look for a name: the library asks at once and after one second."""


def where(name: str, wanted: Where, loop: str) -> tuple[Where, Announced]:
    """Where the feed of this name is heard, and what it says of itself.

    Looks on the interface of `wanted`, or on all. Raises `UsageError`, `StartError`, and
    `NetworkError` if there is none, or none that is heard here.
    """
    if wanted.subscribe:
        raise UsageError(f"{name} --subscribe: that is two feeds; leave one of them out")
    mdns.require()
    from netkit.clients.discover.browsing import find  # it needs an extra

    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        found = runner.run(find(name, WAIT, wanted.interface))
    addresses, server = found.ways()
    interface = "" if server else found.interface
    whole = replace(wanted, addresses=addresses, interface=interface, subscribe=server)
    return whole, found.announced
