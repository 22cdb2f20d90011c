"""What a server's author says of a connection, for whoever lists them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from itertools import islice

from netkit.connections import Connection
from netkit.links import BufferedLink

log = logging.getLogger("netkit.server")

LONGEST = 200
"""Characters of a description: a line of a list, in which a peer may have a say."""


def describe(
    connection: asyncio.StreamWriter | asyncio.BaseTransport, what: str | Callable[[], str]
) -> None:
    """Say of a connection what an operator wants to know: whose it is, what it does.

    `connection` is the writer or the transport that netkit gave; `what` is a text, or
    what makes one when somebody asks. It is shown by ``netkit ctl list`` and in
    ``/connections`` until it is replaced, without control characters and at most
    200 characters of it. An empty text takes it back.

    It costs nothing per message. Without netkit, under plain asyncio, this does
    nothing; neither does it find a connection whose transport has another protocol
    by now (``set_protocol``). Raises TypeError if `what` is neither.
    """
    if not isinstance(what, str) and not callable(what):
        raise TypeError(f"describe: give a str or what makes one, no {type(what).__name__}")
    link = _link(connection)
    if link is not None:
        link.says = shown(what) if isinstance(what, str) else what


def conclude(connection: asyncio.StreamWriter | asyncio.BaseTransport, why: str) -> None:
    """Say of a connection why it ends; it stands at the end of its line in the access log.

    The first that is said stands. Like `describe`, it does nothing without netkit.
    """
    link = _link(connection)
    if link is not None:
        link.why = link.why or shown(why)


def described(connection: Connection) -> str | None:
    """What is said of a connection now; None if nothing is."""
    says = connection.says
    if isinstance(says, str):
        return says or None
    try:
        return shown(says()) or None
    except Exception as error:  # an author's code may raise anything
        log.debug("what describes connection %d failed", connection.id, exc_info=error)
        return None


def shown(text: str) -> str:
    """As much of a text as is shown, in one line."""
    return "".join(islice(filter(str.isprintable, text), LONGEST))


def _link(connection: asyncio.StreamWriter | asyncio.BaseTransport) -> Connection | None:
    transport: asyncio.BaseTransport = (
        connection.transport if isinstance(connection, asyncio.StreamWriter) else connection
    )
    protocol: object = None
    # A TLS transport of asyncio that was closed twice has forgotten what it was.
    with contextlib.suppress(AttributeError):
        protocol = transport.get_protocol()
    if isinstance(protocol, BufferedLink):
        return protocol.link
    return protocol if isinstance(protocol, Connection) else None
