"""Who a client is, told to the upstream before its first byte (``--send-proxy``)."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, Literal

from netkit import proxy_headers
from netkit.proxy_headers import ALPN, AUTHORITY, SSL, Secured
from netkit.tls import hello

Version = Literal["off", "v1", "v2"]


def introduction(version: Version, client: asyncio.BaseTransport) -> bytes:
    """The PROXY header for a client; empty with ``off``.

    Its addresses are those that the transport names: behind a trusted proxy, the real peer's.
    """
    if version == "off":
        return b""
    source, destination = (client.get_extra_info(each) for each in ("peername", "sockname"))
    if version == "v1":
        return proxy_headers.line(source or None, destination or None)
    return proxy_headers.block(source or None, destination or None, facts(client))


def check(version: Version) -> bytes:
    """What a health check sends, so that the upstream does not miss the header."""
    return b"" if version == "off" else proxy_headers.local(int(version[1:]))


def facts(client: asyncio.BaseTransport) -> list[tuple[int, bytes]]:
    """The TLVs: what TLS says of a client; none without TLS."""
    secured: ssl.SSLSocket | None = client.get_extra_info("ssl_object")
    if secured is None:
        return []
    found = []
    if protocol := secured.selected_alpn_protocol():
        found.append((ALPN, protocol.encode()))
    if name := server_name(client):
        found.append((AUTHORITY, name.encode()))
    return [*found, (SSL, proxy_headers.secured(how(secured)))]


def server_name(client: asyncio.BaseTransport) -> str | None:
    """The host name that a client has asked for (SNI); None without one."""
    if (name := client.get_extra_info("server_name")) is not None:
        return str(name)
    # `ssl` tells it to a callback of the context alone, which knows no connection.
    records = client.get_extra_info("client_hello")
    try:
        return hello.server_name(records) if records else None
    except hello.WrongHelloError:
        return None


def how(secured: ssl.SSLSocket) -> Secured:
    """How TLS secures a connection."""
    # Empty if the certificate was not verified, None if there is none.
    certificate = secured.getpeercert()
    cipher = secured.cipher()
    return Secured(
        version=secured.version() or "",
        cipher=cipher[0] if cipher else "",
        resumed=bool(secured.session_reused),
        verified=bool(certificate),
        name=common_name(certificate) if certificate else "",
    )


def common_name(certificate: Any) -> str:
    """The first common name of a certificate's subject, as `ssl` has it; empty without one."""
    pairs = (pair for entry in certificate.get("subject", ()) for pair in entry)
    return next((value for key, value in pairs if key == "commonName"), "")
