"""One line for each connection, at its end."""

from __future__ import annotations

import asyncio
import logging

from netkit.connections import Connection
from netkit.observability.logs import FIELDS

log = logging.getLogger("netkit.access")


def connection_ended(connection: Connection, error: BaseException | None) -> None:
    """Log who it was, how long, how much each way, by which TLS, and why it ended.

    Bytes are what TCP carried, so TLS counts its own too; a Unix socket has none
    to say. The record is made directly: at a connection's end that is half the
    cost of `Logger.info`, which looks for its caller's file and line.
    """
    if not log.isEnabledFor(logging.INFO):
        return
    seconds = asyncio.get_running_loop().time() - connection.began
    traffic = connection.traffic()
    why = connection.why or _why(error, traffic is not None and traffic.peer_closed)
    received, sent = (traffic.received, traffic.sent) if traffic else (None, None)
    size = f"{received} B in, {sent} B out" if traffic else "bytes unknown"
    tls = f", {connection.tls}" if connection.tls else ""
    record = logging.LogRecord(
        log.name,
        logging.INFO,
        "",
        0,
        f"{connection.peer} > {connection.listener} {seconds:.3f} s, {size}{tls}: {why}",
        None,
        None,
    )
    version, _, cipher = connection.tls.partition(" ")
    record.__dict__[FIELDS] = {
        "connection": connection.id,
        "peer": connection.peer,
        "listener": connection.listener,
        "seconds": round(seconds, 6),
        "received": received,
        "sent": sent,
        "tls": version or None,
        "cipher": cipher or None,
        "why": why,
    }
    log.handle(record)


def _why(error: BaseException | None, peer_closed: bool) -> str:
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return "reset by peer"
    if error is not None:
        return str(error) or type(error).__name__
    return "closed by peer" if peer_closed else "closed by server"
