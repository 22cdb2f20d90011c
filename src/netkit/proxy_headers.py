"""Writes the header in which a proxy says for whom it speaks: PROXY protocol, versions 1 and 2.

The other half of `netkit.proxy_protocol`, which reads it. Pure functions: addresses and
facts in, bytes out.

Source: ``doc/proxy-protocol.txt`` of HAProxy, whose sections are named below.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from netkit.proxy_protocol import SIGNATURE, Name

ALPN = 0x01
"""Type of the TLV that holds the protocol that ALPN has chosen (section 2.2.1)."""
AUTHORITY = 0x02
"""Type of the TLV that holds the host name that the client asked for (section 2.2.2)."""
SSL = 0x20
"""Type of the TLV that says how the client is secured (section 2.2.6); inside are:"""
SSL_VERSION = 0x21
SSL_CN = 0x22
SSL_CIPHER = 0x23

BY_TLS, SHOWN_NOW, SHOWN_IN_SESSION = 0x01, 0x02, 0x04
"""Bits of the SSL TLV's first byte: TLS, a certificate in this connection, one in its session."""
UNVERIFIED = 1
"""Anything but 0 in the SSL TLV's ``verify``: no certificate, or one that was not verified."""

LONGEST_NAME = 1024
"""Bytes of a certificate's name that are told; a longer one is no name (X.520 allows 64)."""

_PROXY, _LOCAL = 0x21, 0x20
_STREAM, _INET, _INET6, _UNIX = 0x01, 0x10, 0x20, 0x30


Internet = tuple[str, int] | tuple[str, int, int, int]


@dataclass(frozen=True, slots=True)
class Secured:
    """How a client is secured, as the SSL TLV tells it."""

    version: str
    """``TLSv1.3``."""
    cipher: str
    resumed: bool = False
    verified: bool = False
    """Whether it has shown a certificate, here or when its session began, that was verified."""
    name: str = ""
    """The certificate's common name; told only if `verified`."""


def line(source: Name | None, destination: Name | None) -> bytes:
    """A version 1 header (section 2.1); ``UNKNOWN`` for what is no pair of IP addresses."""
    if not isinstance(source, tuple) or not isinstance(destination, tuple):
        return b"PROXY UNKNOWN\r\n"
    family = "TCP6" if ":" in source[0] else "TCP4"
    hosts = " ".join(_unzoned(each[0]) for each in (source, destination))
    return f"PROXY {family} {hosts} {source[1]} {destination[1]}\r\n".encode()


def block(
    source: Name | None, destination: Name | None, tlvs: Iterable[tuple[int, bytes]] = ()
) -> bytes:
    """A version 2 header for a stream (section 2.2). Unix sockets without names are told too."""
    if isinstance(source, tuple) and isinstance(destination, tuple):
        family, addresses = _internet(source, destination)
    else:
        family = _UNIX
        addresses = struct.pack("108s108s", _path(source), _path(destination))
    rest = addresses + b"".join(tlv(kind, value) for kind, value in tlvs)
    return SIGNATURE + struct.pack(">BBH", _PROXY, family | _STREAM, len(rest)) + rest


def local(version: int) -> bytes:
    """What a proxy says that speaks for itself, as in a health check."""
    if version == 1:
        return b"PROXY UNKNOWN\r\n"
    return SIGNATURE + struct.pack(">BBH", _LOCAL, 0, 0)


def tlv(kind: int, value: bytes) -> bytes:
    """Type, length, value (section 2.2)."""
    return struct.pack(">BH", kind, len(value)) + value


def secured(how: Secured) -> bytes:
    """The value of an SSL TLV (section 2.2.6). A client that was not verified is never said to be.

    HAProxy sets ``verify`` to 0 for clients without certificate too; receivers then have to look
    at the bits as well. Here 0 means that there is one and that it was verified.
    """
    client, verify = BY_TLS, UNVERIFIED
    inside = [(SSL_VERSION, how.version.encode()), (SSL_CIPHER, how.cipher.encode())]
    if how.verified:
        client |= SHOWN_IN_SESSION if how.resumed else SHOWN_NOW | SHOWN_IN_SESSION
        verify = 0
        name = how.name.encode(errors="replace")
        if 0 < len(name) <= LONGEST_NAME:
            inside.append((SSL_CN, name))
    return struct.pack(">BI", client, verify) + b"".join(tlv(*each) for each in inside)


def _internet(source: Internet, destination: Internet) -> tuple[int, bytes]:
    six = ":" in source[0]
    kind = socket.AF_INET6 if six else socket.AF_INET
    packed = b"".join(socket.inet_pton(kind, _unzoned(each[0])) for each in (source, destination))
    return (_INET6 if six else _INET), packed + struct.pack(">HH", source[1], destination[1])


def _unzoned(host: str) -> str:
    """Without the zone of a link-local address, which means something on this machine alone."""
    return host.partition("%")[0]


def _path(name: Name | None) -> bytes:
    """A Unix socket's name; empty if it has none, or one of another kind."""
    if isinstance(name, bytes):
        return name
    return os.fsencode(name) if isinstance(name, str) else b""
