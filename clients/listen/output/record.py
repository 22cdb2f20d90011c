"""Messages as lines of a recording (see `netkit.feeds.recording`)."""

from __future__ import annotations

from netkit.clients.listen.message import Message
from netkit.feeds import recording


def line(message: Message) -> bytes:
    """One message, with its newline."""
    return recording.line(
        recording.Record(message.time, message.payload, message.sender, message.sequence)
    )
