"""Chat rooms for people with ``nc``, ``telnet``, ``openssl s_client`` or ``netkit connect``.

Try it: ``netkit serve chat``, then ``nc 127.0.0.1 6667`` in two terminals.

In reading order, from what knows no network to what does:

- `names`: what people and rooms may be called, and what a text may contain
- `events`: what can happen in a room, and to whom it is told
- `rooms`: who is where and who hears what; no socket, no clock
- `framing`: bytes into lines, whatever a peer sends
- `flood`: how many lines a peer may send
- `lines`: the plain dialect, commands in and readable lines out
- `outbox`: one bounded outbox for each member, and the fan-out to many
- `connection`: the `asyncio.Protocol` that ties these to a transport
- `service`: the settings, and the lifespan
"""

from __future__ import annotations

from netkit.servers.chat.service import Chat

__all__ = ["Chat"]
