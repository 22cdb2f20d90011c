"""The group that a server agrees on with a client: asked of OpenSSL once more.

Before Python 3.15 `ssl` does not tell in which group keys were agreed on. But a server's choice
depends on nothing but its context and the client's hello. So a second connection of the same
context, which has no socket, is given the same hello. Its answer says the group in the clear
(RFC 8446 section 4.2.8, RFC 8422 section 5.4), and is thrown away.
"""

from __future__ import annotations

import ssl
from contextlib import suppress

from netkit.tls.hello import HANDSHAKE, KEY_SHARE, Reader, WrongHelloError

SERVER_HELLO, SERVER_KEY_EXCHANGE = 2, 12
"""Types of handshake messages (RFC 8446 section 4, RFC 5246 section 7.4)."""
NAMED_CURVE = 3
"""How a key exchange of TLS 1.2 says its group (RFC 8422 section 5.4)."""


def agreed_group(context: ssl.SSLContext, records: bytes) -> int | None:
    """The group that this context agrees on for a hello; None if none, or if it is not told.

    Costs about as much as a handshake does, a fraction of a millisecond. Does nothing for a
    context that logs keys: a log has room for the keys of one connection for each hello.
    """
    if getattr(context, "keylog_filename", None):
        return None
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    incoming.write(records)
    with suppress(ssl.SSLError):  # it wants the client's next message, or there is no agreement
        context.wrap_bio(incoming, outgoing, server_side=True).do_handshake()
    try:
        return _group(_messages(Reader(outgoing.read())))
    except WrongHelloError:
        return None


def _messages(records: Reader) -> Reader:
    """What the server says in the clear, of its handshake alone."""
    found = b""
    while records and records.number(1) == HANDSHAKE:
        records.number(2)
        found += records.vector(2).rest()
    return Reader(found)


def _group(messages: Reader) -> int | None:
    while messages:
        kind, body = messages.number(1), messages.vector(3)
        if kind == SERVER_HELLO and (group := _of_server_hello(body)) is not None:
            return group
        if kind == SERVER_KEY_EXCHANGE:
            return body.number(2) if body.number(1) == NAMED_CURVE else None
    return None


def _of_server_hello(body: Reader) -> int | None:
    """The group of TLS 1.3, also in a HelloRetryRequest, which has the same form."""
    body.take(2 + 32)
    body.vector(1)
    body.take(2 + 1)
    extensions = body.vector(2) if body else Reader(b"")
    while extensions:
        kind, content = extensions.number(2), extensions.vector(2)
        if kind == KEY_SHARE:
            return content.number(2)
    return None
