r"""Messages as JSON, one object a line.

::

    {"time": "2026-01-01T00:00:00.250000000Z", "sender": "1a2b3c4d", "epoch": 1767225600,
     "sequence": 2, "latency": 0.000123, "gap": 0, "repaired": false,
     "from": "192.0.2.1:9999", "payload": "hello"}

A payload that is not UTF-8 stands under ``base64`` instead. Of a feed without headers there
are ``time`` (when it came), ``from`` and the payload.
"""

from __future__ import annotations

import json
from base64 import b64encode

from netkit.clients.listen.message import Message
from netkit.feeds.recording import timestamp


def line(message: Message) -> bytes:
    """One message, with its newline."""
    content: dict[str, object] = {"time": timestamp(message.time)}
    if message.sender is not None:
        latency = message.latency
        content |= {
            "sender": f"{message.sender:08x}",
            "epoch": message.epoch,
            "sequence": message.sequence,
            "latency": None if latency is None else round(latency, 6),
            "gap": message.gap,
            "repaired": message.repaired,
        }
    content["from"] = message.source
    try:
        content["payload"] = message.payload.decode()
    except UnicodeDecodeError:
        content["base64"] = b64encode(message.payload).decode("ascii")
    return json.dumps(content, ensure_ascii=False).encode() + b"\n"
