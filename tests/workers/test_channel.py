"""Supervisor and worker speak over a socket pair, and either may be gone at any moment."""

from __future__ import annotations

import socket

from netkit.workers.channel import Channel


async def test_what_is_said_to_nobody_is_lost_without_a_word() -> None:
    """A supervisor that was killed had not heard everything: the worker's end was reset."""
    ours, theirs = socket.socketpair()
    channel = await Channel.over(ours)
    try:
        channel.say("beat")
        await channel.flushed()
        theirs.close()  # with what it has not read
        assert await channel.hear() is None
        channel.say("last")
        await channel.flushed()
    finally:
        channel.close()


async def test_each_message_arrives() -> None:
    ours, theirs = socket.socketpair()
    here, there = await Channel.over(ours), await Channel.over(theirs)
    try:
        here.say("ask", number=1, what="figures")
        there.say("beat", figures={"open": 3})
        assert await there.hear() == {"is": "ask", "number": 1, "what": "figures"}
        assert await here.hear() == {"is": "beat", "figures": {"open": 3}}
        here.close()
        assert await there.hear() is None
    finally:
        there.close()
        here.close()
