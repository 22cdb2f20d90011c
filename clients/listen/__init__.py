"""``netkit listen``: hears feeds, puts them in order, and says what was lost.

The decisions, which know no socket, clock or loop, in reading order:

============== ============================================================
events         what is told: begun, delivered, lost, ended
order          numbers in, items in order out; what is held back, and for how long
asking         when to ask for what is missing, and when to stay silent
statistics     counts, rate, jitter and latency
source         where the sender is, and which numbers it still has
common         what all feeds of one listener share
feed           one feed: all of the above, together
feeds          many senders, restarts, replays; what is rejected, by reason
subscription   being sent a feed where multicast does not reach
============== ============================================================

What moves datagrams to them, and messages on:

============== ============================================================
receiver       the DatagramProtocol: the lesson
fast           the same without a transport, where many are read at once
runs           the headers of many datagrams, checked at once
hearing        between the two: clocks, one timer, events become messages
raw            in its place for feeds without headers
message        what is handed on
subscribing    a subscription's questions and answers
reception      sockets, receivers and cores, opened and closed together
output         where messages go: printed, recorded, captured, a command each
listener       the way in from Python: ``async with``, ``async for``
settings       what one may ask of all this
saying         remarks on standard error
report         what came and what did not, in figures and words
session        one run of the command
============== ============================================================

Try it: ``netkit serve broadcast --to 239.1.2.3:9999 --message '{time}' --every 1s`` and
``netkit listen 239.1.2.3:9999``.
"""

from __future__ import annotations

from netkit.clients.listen.listener import Listener, listen
from netkit.clients.listen.message import Message

__all__ = ["Listener", "Message", "listen"]
