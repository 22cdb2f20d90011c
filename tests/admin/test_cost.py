"""The admin endpoint costs no Python per message: the calls for each message are counted."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections import Counter
from contextlib import AsyncExitStack
from types import FrameType
from typing import Any
from urllib.request import urlopen

import pytest

from netkit import endpoints
from netkit.addresses import parse
from netkit.admin.http import administering
from netkit.admin.source import Alone
from netkit.observability.figures import Tally
from netkit.server import Server
from netkit.servers.echo import Echo

MESSAGES = 1000
"""Far more than what happens once a second, once a scrape or once a connection."""


async def calls_per_message(api: str, *, admin: bool) -> Counter[str]:
    """How often each Python function runs for a message; what runs more seldom is not in it."""
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            module = frame.f_globals.get("__name__", "?")
            calls[f"{module}.{frame.f_code.co_qualname}"] += 1

    tally = Tally() if admin else None
    (endpoint,) = endpoints.bind(parse("tcp://127.0.0.1:0"))
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            Server(Echo(api="streams" if api == "streams" else "protocol"), [endpoint], tally=tally)
        )
        url = ""
        if tally is not None:
            where = parse("tcp://127.0.0.1:0")
            address = await stack.enter_async_context(administering(Alone(server, tally), where))
            url = f"http://{address.authority}/metrics"
        sys.setprofile(count)  # of this thread, the loop's, alone
        try:
            await asyncio.to_thread(converse, endpoint.address.port, url)
        finally:
            sys.setprofile(None)
    per_message = {name: number // MESSAGES for name, number in calls.items()}
    return Counter({name: number for name, number in per_message.items() if number})


def converse(port: int, url: str) -> None:
    """Send message after message, each when the one before is back; scrape in the middle."""
    with socket.create_connection(("127.0.0.1", port)) as talker:
        for number in range(MESSAGES):
            message = b"%08d" % number
            talker.sendall(message)
            assert talker.recv(100) == message
            if url and number == MESSAGES // 2:
                with urlopen(url) as answer:
                    assert b"netkit_connections_open" in answer.read()


@pytest.mark.parametrize("api", ["protocol", "streams"])
async def test_no_python_more_for_a_message_with_admin(api: str) -> None:
    without = await calls_per_message(api, admin=False)
    assert await calls_per_message(api, admin=True) == without
    # Of netkit nothing at all runs for a message, but the echo server's own code and its streams.
    ours = {name for name in without if name.startswith("netkit.")}
    ours -= {name for name in ours if name.startswith("netkit.streams.")}
    echo = {"protocol": "EchoProtocol.data_received", "streams": "echo"}[api]
    assert ours == {f"netkit.servers.echo.{echo}"}
