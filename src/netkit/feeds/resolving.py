"""What an address means on this machine: one host, a group or everybody, and which way."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import Literal

from netkit.addresses import Address
from netkit.errors import UsageError
from netkit.feeds.interfaces import IP, Interface, find, interfaces, is_broadcast

Kind = Literal["multicast", "broadcast", "unicast"]
Where = tuple[str, int] | tuple[str, int, int, int]
"""An address as `socket.socket.sendto` takes it: (host, port), of IPv6 with flow and scope."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """An address as the kernel takes it."""

    ip: IP
    port: int
    kind: Kind
    device: Interface | None
    """The interface that was asked for, as such or by a zone; None: the kernel's choice."""
    source: IP | None
    """Our address, where the interface was named by it."""

    @property
    def family(self) -> socket.AddressFamily:
        """AF_INET or AF_INET6."""
        return socket.AF_INET if self.ip.version == 4 else socket.AF_INET6

    @property
    def index(self) -> int:
        """The interface's, 0 if the kernel is to choose."""
        return self.device.index if self.device else 0

    @property
    def own_ipv4(self) -> bytes:
        """The interface's first address, or the one it was named by; zeros if it has none."""
        own = [each.ip for each in self.device.addresses] if self.device else []
        named = [self.source] if self.source else own
        return next((each.packed for each in named if each.version == 4), bytes(4))

    @property
    def where(self) -> Where:
        """What to send to, or to bind."""
        return self.at(self.ip, self.port)

    def at(self, ip: IP, port: int) -> Where:
        """Another address of the same family, on the same interface."""
        if ip.version == 4:
            return str(ip), port
        # Only addresses that hold for a link or an interface have a scope (RFC 4007, RFC 4291).
        scoped = ip.is_link_local or (ip.is_multicast and ip.packed[1] & 15 in (1, 2))
        return str(ip), port, 0, self.index if scoped else 0


def resolved(address: Address, interface: str, flag: str) -> Resolved:
    """Read `address` with its zone, and `interface` (name, address or index; may be empty).

    Raises `UsageError`, whose line begins with `flag` where the address is at fault.
    """
    host, _, zone = address.host.partition("%")
    ip = as_ip(host) or _looked_up(host, address, flag)
    device, source = find(interface) if interface else None, as_ip(interface)
    if zone:
        zoned = find(zone, flag=f"{flag} {address.authority}: zone")
        if device and device.index != zoned.index:
            raise UsageError(
                f"--interface {interface}: {address.authority} names {zoned.name}; give one of them"
            )
        device = zoned
    if source and source.version != ip.version:
        raise UsageError(
            f"--interface {interface}: {address.authority} is IPv{ip.version}; "
            "give the interface's name, or its address of that family"
        )
    return Resolved(ip, address.port, _kind(ip), device, source)


def as_ip(text: str) -> IP | None:
    """An address that is written as such; None for names."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _looked_up(host: str, address: Address, flag: str) -> IP:
    try:
        found = socket.getaddrinfo(host, address.port, type=socket.SOCK_DGRAM)
    except (socket.gaierror, UnicodeError) as error:  # UnicodeError: not a name at all
        why = getattr(error, "strerror", None) or "that is no name"
        raise UsageError(
            f"{flag} {address.authority}: cannot resolve {host!r} ({why}); give an address"
        ) from None
    return ipaddress.ip_address(str(found[0][4][0]).partition("%")[0])


def _kind(ip: IP) -> Kind:
    if ip.is_multicast:
        return "multicast"
    return "broadcast" if is_broadcast(ip, interfaces()) else "unicast"
