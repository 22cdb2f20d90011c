"""One line for each connection, at its end."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from netkit.connections import Connection
from netkit.kernel import Traffic
from netkit.observability.logs import FIELDS, LineWriter, TextFormatter

log = logging.getLogger("netkit.access")


def connection_ended(connection: Connection, error: BaseException | None) -> None:
    """Log who it was, how long, how much each way, by which TLS, and why it ended.

    Bytes are what TCP carried, so TLS counts its own too; a Unix socket has none
    to say. Where netkit's own text writer is the only one to hear of it, the line
    goes there directly: a record's way through `logging` costs as much as a fifth
    of accepting a connection.
    """
    if not log.isEnabledFor(logging.INFO):
        return
    seconds = asyncio.get_running_loop().time() - connection.began
    traffic = connection.traffic()
    why = connection.why or _why(error, traffic)
    line = _line(connection, seconds, traffic, why)
    handlers = logging.root.handlers
    if len(handlers) == 1 and isinstance(writer := handlers[0], LineWriter):
        formatter = writer.formatter
        if isinstance(formatter, TextFormatter):
            writer.put(f"{formatter.clock(time.time())} {line}")
            return
    log.info("%s", line, extra={FIELDS: _fields(connection, seconds, traffic, why)})


def _line(connection: Connection, seconds: float, traffic: Traffic | None, why: str) -> str:
    size = f"{traffic.received} B in, {traffic.sent} B out" if traffic else "bytes unknown"
    tls = f", {connection.tls}" if connection.tls else ""
    return f"{connection.peer} > {connection.listener} {seconds:.3f} s, {size}{tls}: {why}"


def _fields(
    connection: Connection, seconds: float, traffic: Traffic | None, why: str
) -> dict[str, Any]:
    version, _, cipher = connection.tls.partition(" ")
    return {
        "connection": connection.id,
        "peer": connection.peer,
        "listener": connection.listener,
        "seconds": round(seconds, 6),
        "received": traffic.received if traffic else None,
        "sent": traffic.sent if traffic else None,
        "tls": version or None,
        "cipher": cipher or None,
        "why": why,
    }


def _why(error: BaseException | None, traffic: Traffic | None) -> str:
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return "reset by peer"
    if error is not None:
        return str(error) or type(error).__name__
    return "closed by peer" if traffic is not None and traffic.peer_closed else "closed by server"
