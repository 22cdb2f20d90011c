"""One line for each connection, at its end.

It says who it was, how long, how much each way, by which TLS, and why it ended.
Bytes are what TCP carried, so TLS counts its own too; on a Unix socket nobody
counts what the server sends.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from netkit.connections import Connection
from netkit.kernel import COUNTED, FIN_RECEIVED, PEER_FIRST, Traffic, counted
from netkit.observability.logs import FIELDS, LineWriter, TextFormatter
from netkit.peernames import written

log = logging.getLogger("netkit.access")

Ended = Callable[[Connection, BaseException | None], None]


def access_log() -> Ended:
    """What to call at each connection's end: logging as it is set up now decides."""
    if not log.isEnabledFor(logging.INFO):
        return _silent
    writer = logging.root.handlers[0] if len(logging.root.handlers) == 1 else None
    if isinstance(writer, LineWriter) and isinstance(writer.formatter, TextFormatter):
        return _directly(writer, writer.formatter)
    return _by_record


def _silent(connection: Connection, error: BaseException | None) -> None:
    """Say nothing (``--no-access-log``)."""


def _by_record(connection: Connection, error: BaseException | None) -> None:
    """Let a record of `logging` take it wherever the program's set-up says."""
    seconds = asyncio.get_running_loop().time() - connection.began
    version, _, cipher = connection.tls.partition(" ")
    traffic = connection.traffic()
    why = connection.why or _why(error, traffic is not None and traffic.peer_closed)
    fields: dict[str, Any] = {
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
    line = _line(
        connection.peername, connection.listener, seconds, connection.last,
        connection.tls, why, error,
    )  # fmt: skip
    log.info("%s", line, extra={FIELDS: fields})


def _directly(writer: LineWriter, formatter: TextFormatter) -> Ended:
    """Past `logging`, where netkit's own writer of text is the only one to hear of it.

    A record's way costs as much as a fifth of accepting a connection. And what is done
    here, for one at a time between the work on other connections, costs three times what
    it does in the writer's thread, for many at a time.
    """
    now, unix_time, put = asyncio.get_running_loop().time, time.time, writer.put

    def line(parts: tuple[Any, ...]) -> str:
        _, peername, listener, began, ended, last, tls, why, error = parts
        clock = formatter.clock(unix_time() - now() + ended)
        seconds = ended - began
        rare = why or error or seconds >= 0.999 or not peername or len(peername) != 2
        if rare or not last or type(last) is not bytes:
            return f"{clock} {_line(peername, listener, seconds, last, tls, why, error)}"
        # What comes by the thousand, short connections of TCP over IPv4, in one expression.
        host, port = peername
        state, received, sent, resent = COUNTED(last)
        return (
            f"{clock} {host}:{port} > {listener} {_THOUSANDTHS[int(seconds * 1000 + 0.5)]} s, "
            f"{received - FIN_RECEIVED[state]} B in, {sent - resent} B out"
            f"{tls and ', ' + tls}: {_CLOSED[state]}"
        )

    def end(connection: Connection, error: BaseException | None) -> None:
        put((
            line, connection.peername, connection.listener, connection.began, now(),
            connection.last, connection.tls, connection.why, error,
        ))  # fmt: skip

    return end


def _line(
    peername: Any,
    listener: str,
    seconds: float,
    last: bytes | Traffic | None,
    tls: str,
    why: str,
    error: BaseException | None,
) -> str:
    size, peer_closed = "bytes unknown", False
    if isinstance(last, Traffic):
        size, peer_closed = f"{last.received} B in", last.peer_closed
    elif last:
        received, sent, peer_closed = counted(last)
        size = f"{received} B in, {sent} B out"
    why = why or _why(error, peer_closed)
    secured = tls and f", {tls}"
    return f"{written(peername)} > {listener} {seconds:.3f} s, {size}{secured}: {why}"


def _why(error: BaseException | None, peer_closed: bool) -> str:
    if error is None:
        return "closed by peer" if peer_closed else "closed by server"
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return "reset by peer"
    return str(error) or type(error).__name__


_CLOSED = tuple(_why(None, first) for first in PEER_FIRST)
_THOUSANDTHS = tuple(f"{number / 1000:.3f}" for number in range(1000))
