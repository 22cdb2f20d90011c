"""What was connected and agreed on, for ``-v``."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

from netkit.addresses import Address
from netkit.clients.connect.channel import Channel


def explain_connection(channel: Channel, address: Address) -> Iterator[str]:
    """Yield lines: both ends of the connection; under TLS its terms and the certificate."""
    info = channel.transport.get_extra_info
    ends = [_end(info(side)) for side in ("sockname", "peername")]
    between = f" ({ends[0]} to {ends[1]})" if all(ends) else ""
    yield f"connected to {address}{between}"
    tls: ssl.SSLObject | None = info("ssl_object")
    if tls is not None:
        yield from _terms(tls)


def _end(name: Any) -> str:
    if isinstance(name, tuple):
        return Address("tcp", host=name[0], port=name[1]).authority
    return ""  # the client's end of a Unix socket has no name


def _terms(tls: ssl.SSLObject) -> Iterator[str]:
    from netkit.certificates.describe import describe  # cryptography, for TLS alone

    cipher = tls.cipher()
    alpn = tls.selected_alpn_protocol()
    yield f"{tls.version()}, {cipher[0] if cipher else 'no cipher'}, ALPN {alpn or 'none'}"
    certificate = tls.getpeercert(binary_form=True)
    if certificate:
        yield "the server's certificate:"
        yield from (f"  {line}" for line in describe(certificate).lines())
        if tls.context.verify_mode == ssl.CERT_NONE:
            yield "  the certificate was not checked (--insecure): anybody could have made it"
