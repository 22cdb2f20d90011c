"""Open connections as an operator sees them, one plain object each."""

from __future__ import annotations

from typing import Any

from netkit import descriptions
from netkit.connections import Connection, Connections


def listing(connections: Connections) -> list[dict[str, Any]]:
    """Every open connection, oldest first; about 5 µs each."""
    now = connections.now()
    return [described(connection, now) for connection in connections.open.values()]


def described(connection: Connection, now: float) -> dict[str, Any]:
    """What is known of one: seconds, bytes; None for what nobody counts."""
    traffic = connection.traffic()
    return {
        "id": connection.id,
        "peer": connection.peer,
        "listener": connection.listener,
        "age": round(now - connection.began, 3),
        "tls": connection.tls or None,
        "received": traffic.received if traffic else None,
        "sent": traffic.sent if traffic else None,
        "quiet": round(traffic.quiet, 3) if traffic else None,
        "rtt": traffic.rtt if traffic else None,
        "unsent": connection.unsent(),
        "says": descriptions.described(connection),
    }
