"""Asks a server's admin endpoint: HTTP over a Unix socket or TCP, one request per connection."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import socket
from typing import Any, cast

from netkit.addresses import Address, parse
from netkit.cli.printable import printable
from netkit.errors import NetworkError, UsageError

WAIT = 60.0
"""Seconds for an answer: scaling waits until the new workers serve."""

MOST = 256 * 1024 * 1024
"""Bytes of an answer: some 800,000 connections as JSON."""


def admin_address(text: str) -> Address:
    """Read an admin address as people write it. Raises `UsageError`."""
    address = parse(text, flag="ADMIN")
    if address.scheme not in ("tcp", "unix"):
        raise UsageError(f"{text}: an admin address is unix:PATH or HOST:PORT")
    return address


async def ask(address: Address, method: str, path: str, *, wait: float = WAIT) -> str:
    """The answer's body, within `wait` seconds.

    Raises `NetworkError` if there is none, `UsageError` if the server refuses.
    """
    try:
        async with asyncio.timeout(wait):
            raw = await _exchanged(address, f"{method} {path} HTTP/1.1\r\n{_HEADERS}\r\n")
        status, body = _read(raw)
    except (OSError, http.client.HTTPException) as error:
        why = _reason(error, wait)
        raise NetworkError(f"{address}: {why}; is a server there, with this --admin?") from None
    if status == 404 and method == "POST" and "no connection" not in body:
        raise UsageError(f"{address}: it changes nothing over TCP; give the server's unix: address")
    if status >= 400:
        raise UsageError(f"{address}: {printable(body)}")
    return body


async def ask_json(address: Address, path: str, *, wait: float = WAIT) -> Any:
    """What GET gives, as JSON. Raises as `ask` does."""
    body = await ask(address, "GET", path, wait=wait)
    try:
        return json.loads(body)
    except ValueError:
        raise UsageError(f"{address}: no admin endpoint of netkit: {path} is no JSON") from None


_HEADERS = "Host: localhost\r\nConnection: close\r\n"


async def _exchanged(address: Address, request: str) -> bytes:
    """Send a request, and take in what comes until the server closes."""
    if address.scheme == "unix":
        reader, writer = await asyncio.open_unix_connection(address.socket_path)
    else:
        host = address.host or "localhost"
        reader, writer = await asyncio.open_connection(host, address.port)
    try:
        writer.write(request.encode())
        came = bytearray()
        while data := await reader.read(_CHUNK):
            came += data
            if len(came) > MOST:
                raise http.client.HTTPException(f"more than {MOST} bytes came")
        return bytes(came)
    finally:
        writer.transport.abort()  # all has come, or nobody waits for the rest


_CHUNK = 1024 * 1024


def _read(raw: bytes) -> tuple[int, str]:
    """Status and body of an answer."""
    answer = http.client.HTTPResponse(cast(socket.socket, _Came(raw)))
    answer.begin()
    return answer.status, answer.read().decode(errors="replace")


class _Came:
    """An answer that is all here, as `http.client.HTTPResponse` takes a socket."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, _: str) -> io.BytesIO:
        return io.BytesIO(self._raw)


def _reason(error: Exception, wait: float) -> str:
    if isinstance(error, TimeoutError) and not error.errno:
        return f"no answer in {wait:g} s"
    if isinstance(error, http.client.HTTPException):
        return "what came is no whole answer of HTTP"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
