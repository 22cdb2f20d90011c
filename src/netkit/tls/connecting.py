"""TLS outwards on netkit's own transport, as ``loop.create_connection(ssl=…)``; or only tried."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from netkit.lingering import linger
from netkit.tls.secured import secure
from netkit.tls.shaking import shake_hands
from netkit.tls.transport import TLSTransport

P = TypeVar("P", bound=asyncio.BaseProtocol)

HANDSHAKE_TIMEOUT = 60.0
"""Seconds, as asyncio has it."""

LEAVE = 1.0
"""Seconds for a server that was only greeted to end its side."""


async def start_client(
    factory: Callable[[], P],
    sock: socket.socket,
    context: ssl.SSLContext,
    *,
    server_hostname: str | None,
    timeout: float = HANDSHAKE_TIMEOUT,
) -> tuple[TLSTransport, P]:
    """Shake hands on a connected, non-blocking socket, and put a protocol of ours on it.

    The socket is the transport's from now on; after an error it is closed. `server_hostname`
    is asked for (SNI), and verified if the context does that. Raises OSError
    (`ssl.SSLError`, TimeoutError): `netkit.tls.client_reason` puts it in words.
    """
    peername = sock.getpeername()
    open_socket = sock
    try:
        open_socket = secured = secure(
            sock, context, server_side=False, server_hostname=server_hostname
        )
        async with asyncio.timeout(timeout):
            await shake_hands(secured)
        transport = TLSTransport(secured, {"peername": peername})
    except BaseException:  # a cancellation too
        open_socket.close()
        raise
    protocol = factory()
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    transport.begin()
    return transport, protocol


async def greet(
    sock: socket.socket, context: ssl.SSLContext, *, server_hostname: str, timeout: float
) -> None:
    """Shake hands on a connected, non-blocking socket, and take leave so that no fault is seen.

    `timeout` is in seconds, for the handshake. The socket is closed by then, also after an
    error. Raises OSError, as `start_client` does.
    """
    with (
        sock,
        secure(sock, context, server_side=False, server_hostname=server_hostname) as secured,
    ):
        async with asyncio.timeout(timeout):
            await shake_hands(secured)
        with suppress(OSError):  # its own end has not come yet
            secured.unwrap()
        with socket.socket(fileno=secured.detach()) as plain:
            await linger(plain, LEAVE)
