"""A caller is told what was negotiated, in the form it wants, and the connection is ended.

1. The handshake is done when `tell` is called; `facts` says what came of it.
2. Browsers, curl and their like send a request at once, and agree on ``http/1.1`` by ALPN
   (RFC 7301) if they can. Nobody who has agreed on that is sent anything unasked.
3. Whoever says nothing for `SILENCE` seconds, or something that is not HTTP, is a person at
   ``openssl s_client`` or ``ncat --ssl``, and reads text.
4. Our close_notify follows the answer, so that its reader knows it to be whole (RFC 8446
   section 6.1). Then the peer gets `LINGER` seconds to end its side: a socket that is closed
   with something unread sends a reset, and that may destroy the answer on its way.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from netkit.servers.tls import asking
from netkit.servers.tls.asking import Form, RefusedError
from netkit.servers.tls.facts import Facts, facts
from netkit.servers.tls.page import POLICY, page
from netkit.servers.tls.words import data, text

SILENCE: Final = 1.0
"""Seconds after which somebody who says nothing gets text: more than any round trip on earth."""
PATIENCE: Final = 10.0
"""Seconds for a whole request."""
LONGEST_HEAD: Final = 16_384
"""Bytes of a request's head: a browser's has about 1,000, more with cookies."""
LINGER: Final = 2.0

TYPES: dict[Form, str] = {
    "page": "text/html; charset=utf-8",
    "json": "application/json",
    "text": "text/plain; charset=utf-8",
}
HEADERS: Final = (
    f"Content-Security-Policy: {POLICY}",
    "X-Content-Type-Options: nosniff",
    "Referrer-Policy: no-referrer",
    "Cross-Origin-Resource-Policy: same-origin",
    "Cache-Control: no-store",
    "Vary: Accept",
    "Connection: close",
)
"""Of every answer. No Strict-Transport-Security: that would hold for all ports of the host."""


async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say what was negotiated, in the form that this caller wants, and end in order."""
    found = facts(writer.transport)
    speaks_http = (found.alpn or "").startswith("http/")
    line = await _line(reader, PATIENCE if speaks_http else SILENCE)
    if asking.is_request(line):
        writer.write(await _answer(reader, line, found))
    elif line or not speaks_http:
        writer.write(text(found).encode())
    await _leave(reader, writer)


async def _line(reader: asyncio.StreamReader, seconds: float) -> bytes:
    """What a client says first; nothing if it says nothing for so long."""
    try:
        async with asyncio.timeout(seconds):
            return await reader.readuntil(b"\n")
    except TimeoutError:
        return b""
    except asyncio.IncompleteReadError as ended:
        return ended.partial
    except asyncio.LimitOverrunError:  # no HTTP has a line so long
        return await reader.read(LONGEST_HEAD)


async def _answer(reader: asyncio.StreamReader, line: bytes, found: Facts) -> bytes:
    """The answer to a request, or what is wrong with it."""
    bodiless = line.startswith(b"HEAD ")
    try:
        form = asking.form(asking.request(await _head(reader, line)))
        return _response(200, form, written(found, form), bodiless=bodiless)
    except RefusedError as refused:
        return _response(refused.status, "text", f"{refused}\n", bodiless=bodiless)


async def _head(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """The whole head that a line begins, to its empty line. Raises `RefusedError`."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not head.endswith((b"\n\r\n", b"\n\n")):
                head += await reader.readuntil(b"\n")
                if len(head) > LONGEST_HEAD:
                    raise RefusedError(431, f"a head of more than {LONGEST_HEAD} bytes")
    except TimeoutError:
        raise RefusedError(408, f"no whole head in {PATIENCE:g} seconds") from None
    except asyncio.IncompleteReadError:
        raise RefusedError(400, "the head has no empty line at its end") from None
    except asyncio.LimitOverrunError:
        raise RefusedError(431, f"a head of more than {LONGEST_HEAD} bytes") from None
    return head


async def _leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End our side, then wait a little for the peer to end its own."""
    async with asyncio.timeout(PATIENCE):
        await writer.drain()
    if writer.can_write_eof():  # the loops' own TLS cannot: there `close` ends both sides
        writer.write_eof()
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER):
            while await reader.read(LONGEST_HEAD):
                pass


def written(facts: Facts, form: Form) -> str:
    """The facts in one of the three forms."""
    match form:
        case "page":
            return page(facts)
        case "json":
            return json.dumps(data(facts), indent=2) + "\n"
        case "text":
            return text(facts)


def _response(status: int, form: Form, body: str, *, bodiless: bool) -> bytes:
    content = body.encode()
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        f"Date: {formatdate(usegmt=True)}",
        f"Content-Type: {TYPES[form]}",
        f"Content-Length: {len(content)}",
        *HEADERS,
        *(["Allow: GET, HEAD"] if status == 405 else []),
    ]
    head = "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"
    return head if bodiless else head + content
