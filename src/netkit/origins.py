"""Whom a connection counts for: its address, and the network that is in.

An IPv6 host has a whole /64 to choose addresses from (RFC 6177, RFC 8981), so a
limit for one address hardly holds it; a limit for its network does.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass

from netkit.limits import Limits
from netkit.peernames import is_loopback

MAPPED = bytes(10) + b"\xff\xff"
"""How an IPv4 address begins that came by an IPv6 socket (RFC 4291 2.5.5.2)."""

WHY = {
    "per-address": "refused: too many from its address (--limit-per-address)",
    "per-prefix": "refused: too many from its network (--limit-per-prefix)",
}
"""What the log says of one who was turned away, by the limit's name."""


@dataclass(frozen=True)
class Group:
    """Connections that are counted together, and how many there may be."""

    limit: str
    """The limit's name: a key of `WHY`."""
    most: int
    of: Callable[[bytes], bytes]
    """What the connections of one group have in common, from their origin."""


def origin(host: str, limits: Limits) -> bytes:
    """An IP address as 4 or 16 bytes; empty for whom no limit counts.

    That is a Unix socket's peer, and one on this machine without ``--limit-loopback``.
    """
    if not host or (not limits.loopback and is_loopback(host)):
        return b""
    if ":" not in host:
        return socket.inet_pton(socket.AF_INET, host)
    packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    return packed.removeprefix(MAPPED)


def groups(limits: Limits) -> list[Group]:
    """The groups that have a limit."""
    masks = {
        4: mask(limits.prefix_ipv4, 32),
        16: mask(limits.prefix_ipv6, 128),
    }

    def network(origin: bytes) -> bytes:
        return (int.from_bytes(origin, "big") & masks[len(origin)]).to_bytes(len(origin), "big")

    found = [
        Group("per-address", limits.per_address, lambda origin: origin),
        Group("per-prefix", limits.per_prefix, network),
    ]
    return [group for group in found if group.most]


def mask(bits: int, length: int) -> int:
    """The number whose first `bits` of `length` are ones."""
    return (1 << length) - (1 << (length - bits))
