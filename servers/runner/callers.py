"""Who calls: by what TLS has verified, or by what the kernel says of a Unix socket's peer.

======================= ===========================================================
``cn:alice``            a client certificate whose subject has this common name
``san:dns:host``        … with this alternative name; also ``email``, ``uri``, ``ip``
``uid:1000``            a Unix socket's peer (SO_PEERCRED, unix(7)) with this user
``user:bob``            the same by name; looked up when the list is read
``loopback``            TCP from this machine without a client certificate: any user
``*``                   everybody of these but ``loopback``
======================= ===========================================================

A connection that is none of these has no caller, and is refused whatever it asks.
"""

from __future__ import annotations

import asyncio
import ipaddress
import pwd
import re
import socket
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from netkit.addresses import Address
from netkit.errors import UsageError

LOOPBACK, EVERYBODY = "loopback", "*"

_FORM = re.compile(r"(cn|san:dns|san:email|san:uri|san:ip|uid|user):(.+)", re.DOTALL)
_SANS = {"DNS": "dns", "email": "email", "URI": "uri", "IP Address": "ip"}
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


@dataclass(frozen=True)
class Caller:
    """Somebody, by all the names that are proven; two with the same names are the same."""

    names: frozenset[str]

    def is_among(self, allowed: Iterable[str]) -> bool:
        """Whether a list's ``callers`` mean this one."""
        return any(
            each in self.names or (each == EVERYBODY and LOOPBACK not in self.names)
            for each in allowed
        )

    def __str__(self) -> str:
        return " ".join(sorted(self.names))


def caller_name(text: str) -> str:
    """A caller as the list writes it, in the form that `Caller` has. Raises `ValueError`."""
    if text in (EVERYBODY, LOOPBACK):
        return text
    match = _FORM.fullmatch(text)
    if not match:
        raise ValueError(
            f"{text!r} is no caller; write cn:NAME, san:dns:HOST, uid:NUMBER, user:NAME, "
            "loopback or *"
        )
    kind, name = match[1], match[2]
    if kind == "uid":
        if not re.fullmatch(r"[0-9]{1,10}", name):
            raise ValueError(f"{text!r}: a uid is a number")
        return f"uid:{int(name)}"
    if kind == "user":
        try:
            return f"uid:{pwd.getpwnam(name).pw_uid}"
        except KeyError:
            raise ValueError(f"{text!r}: there is no such user") from None
    return f"{kind}:{_normal(kind, name)}"


def caller(transport: asyncio.BaseTransport) -> Caller | None:
    """Who is at the other end; None if nobody vouches for them."""
    certificate = transport.get_extra_info("peercert")
    if certificate:
        names = frozenset(_certified(certificate))
        return Caller(names) if names else None
    # Through a proxy the kernel would speak of the proxy, and any address is only told.
    sock = transport.get_extra_info("socket")
    if sock is None or transport.get_extra_info("proxy_header") is not None:
        return None
    if sock.family == socket.AF_UNIX:
        return _unix_peer(sock)
    ends = (transport.get_extra_info("peername"), transport.get_extra_info("sockname"))
    local = all(isinstance(each, tuple) and is_loopback(each[0]) for each in ends)
    return Caller(frozenset({LOOPBACK})) if local else None


def require_trusted(address: Address, *, verified: bool) -> None:
    """Raise `UsageError` for a listener where nobody would be known.

    `verified`: whether TLS demands client certificates there.
    """
    if address.scheme not in ("tcp", "tls") or verified or is_loopback(address.host):
        return
    raise UsageError(
        f"--bind {address}: whoever reaches it would be unknown; demand client certificates "
        "with --tls --ssl-ca-certs FILE, or listen on loopback or a Unix socket"
    )


def is_loopback(host: str) -> bool:
    """Whether an IP address is this machine's own; a name is not known to be."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _unix_peer(sock: Any) -> Caller:
    said = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return Caller(frozenset({f"uid:{_CREDENTIALS.unpack(said)[1]}"}))


def _certified(certificate: Mapping[str, Any]) -> Iterable[str]:
    """The names in a certificate as `ssl.SSLSocket.getpeercert` gives it."""
    for parts in certificate.get("subject", ()):
        for key, value in parts:
            if key == "commonName":
                yield f"cn:{value}"
    for key, value in certificate.get("subjectAltName", ()):
        if key in _SANS:
            kind = f"san:{_SANS[key]}"
            yield f"{kind}:{_normal(kind, value)}"


def _normal(kind: str, name: str) -> str:
    if kind == "san:dns":
        return name.lower()  # RFC 4343
    if kind == "san:ip":
        try:
            return str(ipaddress.ip_address(name.strip()))
        except ValueError:
            return name
    return name
