"""``netkit connect``: standard input to a socket and back, ncat's job as a lesson.

In reading order:

========== ================================================================
session    one run of the command: dial, set up our side, relay, close
relay      the rules of a session: both directions, half-close, the idle timeout
channel    the socket's side: an asyncio protocol with bounded buffers
dialing    an address becomes a channel; waiting for a server to come up
local      our side: standard input and output without blocking the loop
terminal   our side on a terminal: line editing and history
text       what happens to text on the way: CRLF out, escape sequences made harmless
hexdump    bytes as people read them, and back
recording  both directions with their times, in a file
failures   what went wrong, in one line
negotiated what was agreed on, for ``-v``
========== ================================================================

Try it: ``netkit connect localhost:8000`` or ``netkit connect --tls localhost:6697``.
"""

from __future__ import annotations

from netkit.clients.connect.channel import Channel
from netkit.clients.connect.dialing import Route, dial, dial_until_up
from netkit.clients.connect.relay import relay

__all__ = ["Channel", "Route", "dial", "dial_until_up", "relay"]
