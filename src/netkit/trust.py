"""Whom to believe when it speaks for another: the proxies in front of a server."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, field
from functools import cached_property

from netkit.errors import UsageError
from netkit.peernames import host_of

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

UNIX = "unix"
"""What stands for every peer of a Unix socket: its file's mode says who that can be."""


@dataclass(frozen=True)
class Proxy:
    """Which peers begin with a PROXY protocol header. Raises `UsageError`."""

    proxy_from: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "address or network of proxies that send a PROXY header, "
            "or unix: for Unix sockets; repeatable"
        },
    )

    def __post_init__(self) -> None:
        _ = self.networks

    @cached_property
    def networks(self) -> tuple[Network, ...]:
        """The trusted networks; an address is a network of one."""
        return tuple(_network(text) for text in self.proxy_from if text != UNIX)

    def concerns(self, listener: socket.socket) -> bool:
        """Whether any peer of a listener can be a trusted proxy."""
        if listener.family == socket.AF_UNIX:
            return UNIX in self.proxy_from
        return bool(self.networks)

    def trusts(self, conn: socket.socket) -> bool:
        """Whether a connection comes from a trusted proxy. Raises OSError if it was reset."""
        if conn.family == socket.AF_UNIX:
            return UNIX in self.proxy_from
        address = ipaddress.ip_address(host_of(conn.getpeername()).partition("%")[0])
        # How an IPv6 listener sees a peer that came by IPv4 (RFC 4291 section 2.5.5.2).
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self.networks)


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    try:  # host bits after the prefix
        meant = f"{ipaddress.ip_network(text, strict=False)}"
    except ValueError:
        raise UsageError(
            f"--proxy-from {text!r}: give an IP address, a network such as 10.0.0.0/8, or unix"
        ) from None
    raise UsageError(f"--proxy-from {text}: no network begins there; did you mean {meant}?")
