"""What TLS has negotiated on a connection, and what its client had offered.

All of it can be asked once the handshake is done: of the `ssl.SSLSocket` or `ssl.SSLObject`
that a transport gives as ``get_extra_info("ssl_object")``, and of the client's hello, which
netkit keeps for a service that wants it (``keeps_hello``).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from netkit.servers.tls.certificates import Shown, shown
from netkit.tls import fingerprints, registry
from netkit.tls.hello import ClientHello, WrongHelloError, parse, readable, without_grease
from netkit.tls.replay import agreed_group

UNTOLD = "Python before 3.15 does not tell"


@dataclass(frozen=True)
class Group:
    """The group in which both sides agreed on a key; `name` is None if we cannot know."""

    name: str | None
    why: str


@dataclass(frozen=True)
class Offer:
    """What the client's hello offered, in names, and what kind of client does so."""

    ja3: str
    ja3_text: str
    ja4: str
    ja4_text: str
    versions: list[str]
    cipher_suites: list[str]
    groups: list[str]
    key_shares: list[str]
    signature_algorithms: list[str]
    alpn: list[str]
    extensions: list[str]
    resumption: str
    grease: bool


@dataclass(frozen=True)
class Facts:
    """What was negotiated; `version` is None if the connection is not encrypted."""

    peer: str
    version: str | None = None
    cipher: str = ""
    bits: int = 0
    group: Group = Group(None, "")
    server_name: str | None = None
    alpn: str | None = None
    resumed: bool = False
    certificate: Shown = field(default_factory=Shown)
    offer: Offer | None = None


def facts(transport: asyncio.BaseTransport) -> Facts:
    """What there is to say of a connection."""
    peer = _address(transport.get_extra_info("peername"))
    secured: ssl.SSLSocket | None = transport.get_extra_info("ssl_object")
    if secured is None:
        return Facts(peer)
    records = transport.get_extra_info("client_hello") or b""
    hello = _hello(records)
    cipher, _, bits = secured.cipher() or ("", "", 0)
    return Facts(
        peer,
        secured.version(),
        cipher,
        bits,
        group(secured, records, hello),
        hello.server_name if hello else transport.get_extra_info("server_name"),
        secured.selected_alpn_protocol(),
        bool(secured.session_reused),
        shown(secured),
        offer(hello) if hello else None,
    )


def group(secured: Any, records: bytes, hello: ClientHello | None) -> Group:
    """The group in which the keys were agreed on, if there is an honest way to know.

    `ssl` tells it from Python 3.15 on. Before, OpenSSL is given the client's hello again.
    """
    if hasattr(secured, "group"):
        return Group(secured.group(), "")
    tls_1_3 = secured.version() == "TLSv1.3"
    if secured.session_reused and not tls_1_3:
        return Group(None, "none: the keys come from the earlier session")
    number = agreed_group(secured.context, records) if hello else None
    if number is None or hello is None:
        return Group(None, f"not known: {UNTOLD}")
    # RFC 8446 section 4.1.4: for a group without a key share the server asks for one.
    again = tls_1_3 and number not in hello.key_shares
    why = "the server had to ask for it (HelloRetryRequest)" if again else ""
    return Group(registry.name(registry.GROUPS, number), why)


def offer(hello: ClientHello) -> Offer:
    """The hello in names; without GREASE, whose numbers mean nothing."""
    versions = hello.versions or (hello.version,)
    numbers = (*hello.suites, *hello.extensions, *hello.groups, *versions)
    return Offer(
        ja3=fingerprints.ja3(hello),
        ja3_text=fingerprints.ja3_text(hello),
        ja4=fingerprints.ja4(hello),
        ja4_text=fingerprints.ja4_text(hello),
        versions=_names(registry.VERSIONS, versions),
        cipher_suites=_names(registry.SUITES, hello.suites),
        groups=_names(registry.GROUPS, hello.groups),
        key_shares=_names(registry.GROUPS, hello.key_shares),
        signature_algorithms=_names(registry.SIGNATURES, hello.signatures),
        alpn=[readable(each) for each in hello.alpn],
        extensions=_names(registry.EXTENSIONS, hello.extensions),
        resumption=_resumption(hello),
        grease=len(without_grease(numbers)) < len(numbers),
    )


def _resumption(hello: ClientHello) -> str:
    """With what the client would go on with an earlier session."""
    if hello.pre_shared_keys:
        early = ", with early data" if hello.early_data else ""
        return f"pre-shared key (TLS 1.3){early}"
    if hello.ticket:
        return "session ticket (TLS 1.2)"
    if hello.session_id and not hello.versions:
        return "session id (TLS 1.2)"
    return "nothing"


def _hello(records: bytes) -> ClientHello | None:
    """The client's hello; None if it was not kept, as one of more than 32 KiB is not."""
    try:
        return parse(records)
    except WrongHelloError:
        return None


def _names(table: Mapping[int, str], numbers: Iterable[int]) -> list[str]:
    return [registry.name(table, each) for each in without_grease(tuple(numbers))]


def _address(name: Any) -> str:
    """``192.0.2.1:5000``; a Unix socket's peer has no address."""
    if not isinstance(name, tuple):
        return "a Unix socket"
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
