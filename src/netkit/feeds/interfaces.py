"""The network interfaces of this machine, as people name them: by name, address or index.

Python's socket module knows their names alone, so the addresses are asked of the kernel
(rtnetlink(7), RTM_GETADDR). Linux only; elsewhere interfaces have no addresses here.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from netkit.errors import UsageError

Network = ipaddress.IPv4Interface | ipaddress.IPv6Interface
IP = ipaddress.IPv4Address | ipaddress.IPv6Address

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port (netlink(7))
_ADDRESS = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, interface's index
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_RTM_GETADDR, _RTM_NEWADDR, _DUMP = 22, 20, 0x301
_IFA_ADDRESS, _IFA_LOCAL = 1, 2


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface and the addresses it has, each with the network it is in."""

    index: int
    name: str
    addresses: tuple[Network, ...]


def interfaces() -> list[Interface]:
    """Every interface of this network namespace."""
    found: dict[int, list[Network]] = {}
    for index, network in _addresses() if hasattr(socket, "AF_NETLINK") else ():
        found.setdefault(index, []).append(network)
    return [Interface(i, name, tuple(found.get(i, ()))) for i, name in socket.if_nameindex()]


def find(text: str, *, flag: str = "--interface") -> Interface:
    """The interface of that name, address or index. Raises `UsageError`, which lists them."""
    known = interfaces()
    for each in known:
        if text == each.name or text in {str(network.ip) for network in each.addresses}:
            return each
    for each in known:  # last, since an interface's name may be a number
        if text == str(each.index):
            return each
    names = ", ".join(each.name for each in known)
    raise UsageError(f"{flag} {text!r}: no interface has that name or address; there are {names}")


def is_broadcast(address: IP, known: list[Interface]) -> bool:
    """Whether an address means everybody: on the link, or in a network that we are in."""
    if address == ipaddress.IPv4Address("255.255.255.255"):
        return True
    return address.version == 4 and any(
        network.network.broadcast_address == address and network.network.prefixlen < 31
        for each in known
        for network in each.addresses
    )


def _addresses() -> Iterator[tuple[int, Network]]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        length = _HEADER.size + _ADDRESS.size
        header = _HEADER.pack(length, _RTM_GETADDR, _DUMP, 1, 0)
        kernel.send(header + _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0))
        while True:
            answer = kernel.recv(65536)
            while answer:
                length, kind, *_ = _HEADER.unpack_from(answer)
                if kind != _RTM_NEWADDR:  # NLMSG_DONE, or an error
                    return
                yield from _decoded(answer[_HEADER.size : length])
                answer = answer[_aligned(length) :]


def _decoded(message: bytes) -> Iterator[tuple[int, Network]]:
    family, prefix, _, _, index = _ADDRESS.unpack_from(message)
    if family not in (socket.AF_INET, socket.AF_INET6):
        return
    attributes, at = {}, _ADDRESS.size
    while at < len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, at)
        attributes[kind] = message[at + _ATTRIBUTE.size : at + length]
        at += _aligned(length)
    # On a point-to-point interface ADDRESS is the peer's; IPv6 has LOCAL only there.
    own = attributes.get(_IFA_LOCAL) or attributes[_IFA_ADDRESS]
    yield index, ipaddress.ip_interface(f"{socket.inet_ntop(family, own)}/{prefix}")


def _aligned(length: int) -> int:
    return (length + 3) & ~3
