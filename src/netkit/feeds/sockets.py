"""Sockets that send datagrams to many, and sockets that hear them (ip(7), ipv6(7), udp(7)).

`sending` and `receiving` take addresses as people write them: a multicast group, a
broadcast address or one host's; IPv6 with a zone, ``[ff02::1%eth0]:9000``. What the
kernel refuses is said in one line. Nothing is sent here. The option numbers are Linux's:
Python's socket module has few of them.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import NamedTuple

from netkit.addresses import Address
from netkit.errors import StartError, UsageError
from netkit.feeds.interfaces import IP
from netkit.feeds.resolving import Kind, Resolved, Where, as_ip, resolved

BUFFER = 4 << 20
"""Bytes of receive buffer that are asked for: at 5 Gbit/s it holds some 6 ms of a flood."""

IP_MTU, IP_MULTICAST_ALL, IP_UNICAST_IF = 14, 49, 50
IPV6_MTU, IPV6_MULTICAST_ALL, IPV6_UNICAST_IF = 24, 29, 76
MCAST_JOIN_GROUP, MCAST_JOIN_SOURCE_GROUP = 42, 46  # RFC 3678, of both families
SO_RCVBUFFORCE, SO_MEMINFO = 33, 55

_MEMORY = struct.Struct("=32xI")  # SK_MEMINFO_DROPS is the last of nine figures (sock_diag.h)
_STORAGE = 128  # bytes of a struct sockaddr_storage
_LONGEST_V4, _LONGEST_V6 = 65535, 65535 + 40  # the length of IPv6 does not count its header
_NAMED_CODE_POINTS = {"ef": 46, **{f"cs{n}": 8 * n for n in range(8)}} | {
    f"af{group}{drop}": 8 * group + 2 * drop for group in range(1, 5) for drop in range(1, 4)
}


class Outgoing(NamedTuple):
    """A socket to send with. Whoever has it closes it, or gives it to a transport that does."""

    sock: socket.socket
    where: Where
    """What to give `sendto`. The socket is not connected: anybody may answer it."""
    kind: Kind
    largest: int
    """Bytes that one datagram carries on this route without being fragmented."""


class Incoming(NamedTuple):
    """A socket to receive with. Whoever has it closes it, or gives it to a transport that does."""

    sock: socket.socket
    kind: Kind
    buffer: int
    """Bytes of receive buffer that the kernel granted."""


def sending(
    destination: Address,
    *,
    interface: str = "",
    hops: int | None = None,
    loopback: bool = True,
    dscp: int = 0,
) -> Outgoing:
    """A socket for datagrams to `destination` through `interface` (its name or an address).

    `hops`: the TTL, 1 to 255; unless given 1 for multicast, which then stays on its link,
    and the kernel's for others. `loopback`: whether listeners on this machine hear multicast.
    `dscp`: the code point of RFC 2474, 0 to 63. Raises `UsageError` and `StartError`.
    """
    if hops is not None and not 1 <= hops <= 255:
        raise UsageError(f"--ttl {hops}: give 1 to 255")
    if not 0 <= dscp <= 63:
        raise UsageError(f"--dscp {dscp}: give 0 to 63, or a name such as ef or af41")
    if destination.port == 0:
        raise UsageError(f"--to {destination.authority}: there is no port 0 to send to")
    to = resolved(destination, interface, "--to")

    def made() -> socket.socket:
        sock = socket.socket(to.family, socket.SOCK_DGRAM)
        try:
            _set_route(sock, to)
            _set_hops(sock, to, hops, loopback)
            _set_class(sock, dscp)
            sock.setblocking(False)
        except BaseException:  # whatever it is, no socket is left open
            sock.close()
            raise
        return sock

    try:
        with made() as probe:  # a connected socket knows its route, and nothing is sent
            probe.connect(to.where)
            largest = _largest(probe)
        return Outgoing(made(), to.where, to.kind, largest)
    except OSError as error:
        raise StartError(f"cannot send to {destination.authority}: {_mend(error, to)}") from None


def receiving(
    address: Address,
    *,
    interface: str = "",
    sources: tuple[str, ...] = (),
    buffer: int = BUFFER,
) -> Incoming:
    """A socket that hears what comes to `address`: a group, a broadcast address or our own.

    A group is joined on `interface` (the kernel's choice unless given), with `sources`
    only for datagrams from these addresses (RFC 4607), and nothing else arrives: other
    groups with that port do not, nor unicast. Any number of sockets may share a group
    or broadcast address. `buffer`: bytes wanted; beyond net.core.rmem_max it takes
    CAP_NET_ADMIN, and `Incoming.buffer` says what was granted. Raises `UsageError` and
    `StartError`.
    """
    at = resolved(address, interface, "listen")
    wanted = [_source(text, at) for text in sources]
    sock = socket.socket(at.family, socket.SOCK_DGRAM)
    try:
        if at.kind != "unicast":  # there it would let another process take over the port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if at.ip.version == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if at.device and at.kind == "broadcast":
            name = at.device.name.encode()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name)
        granted = _set_buffer(sock, buffer)
        sock.bind(at.where)
        if at.kind == "multicast":
            _join(sock, at, wanted)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise StartError(f"cannot listen on {address.authority}: {_mend(error, at)}") from None
    return Incoming(sock, at.kind, granted)


def dropped(sock: socket.socket) -> int:
    """Datagrams that the kernel threw away since this socket was made: its buffer was full.

    The count of SO_RXQ_OVFL (socket(7)), modulo 2³², but asked for instead of told with the
    next datagram: so it knows of drops after which nothing came, and a transport's socket
    has it too. Of a socket that takes runs (`reader.Reader`) it counts a dropped run as
    one: then it says that we were too slow, and the sequence numbers say by how many.
    """
    (count,) = _MEMORY.unpack(sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, _MEMORY.size))
    return int(count)


def code_point(text: str) -> int:
    """A DSCP by number (0 to 63) or name: ef, cs0 to cs7, af11 to af43. Raises `UsageError`."""
    found = _NAMED_CODE_POINTS.get(text.lower())
    if found is None and text.isascii() and text.isdecimal() and len(text) < 3:
        found = int(text)
    if found is None or found > 63:
        raise UsageError(f"--dscp {text}: give 0 to 63, or a name such as ef, cs1 or af41")
    return found


def _set_route(sock: socket.socket, to: Resolved) -> None:
    if to.kind == "broadcast":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    if to.source:
        sock.bind(to.at(to.source, 0))
    if not to.index:
        return
    if to.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, to.index)
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_UNICAST_IF, struct.pack("!I", to.index))
    else:
        # Otherwise what goes through lo by multicast has another interface's address.
        mreqn = struct.pack("=4x4si", to.own_ipv4, to.index)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, mreqn)
        sock.setsockopt(socket.IPPROTO_IP, IP_UNICAST_IF, struct.pack("!I", to.index))


def _set_hops(sock: socket.socket, to: Resolved, hops: int | None, loopback: bool) -> None:
    if to.family == socket.AF_INET6:
        level, loop = socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP
        many, one = socket.IPV6_MULTICAST_HOPS, socket.IPV6_UNICAST_HOPS
    else:
        level, loop = socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP
        many, one = socket.IP_MULTICAST_TTL, socket.IP_TTL
    if to.kind == "multicast":
        sock.setsockopt(level, many, 1 if hops is None else hops)
        sock.setsockopt(level, loop, loopback)
    elif hops is not None:
        sock.setsockopt(level, one, hops)


def _set_class(sock: socket.socket, dscp: int) -> None:
    # The code point is the upper six bits of the byte; the lower two are for congestion.
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, dscp << 2)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)


def _set_buffer(sock: socket.socket, wanted: int) -> int:
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, wanted)
    except PermissionError:  # as much as everybody may have
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
    # The kernel sets aside the double, and tells that, for what it keeps beside each datagram.
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2


def _source(text: str, group: Resolved) -> IP:
    source = as_ip(text)
    if group.kind != "multicast":
        raise UsageError(f"--source {text}: {group.ip} is not a multicast group")
    if source is None or source.version != group.ip.version:
        raise UsageError(
            f"--source {text}: give an IPv{group.ip.version} address, as {group.ip} is one"
        )
    return source


def _join(sock: socket.socket, group: Resolved, sources: list[IP]) -> None:
    # Otherwise Linux also delivers what comes for other sockets' memberships.
    if group.family == socket.AF_INET6:
        level = socket.IPPROTO_IPV6
        sock.setsockopt(level, IPV6_MULTICAST_ALL, 0)
    else:
        level = socket.IPPROTO_IP
        sock.setsockopt(level, IP_MULTICAST_ALL, 0)
    # struct group_req and group_source_req; an address in them is aligned like a pointer.
    request = struct.pack("@I0P", group.index) + _storage(group.ip)
    for source in sources:
        sock.setsockopt(level, MCAST_JOIN_SOURCE_GROUP, request + _storage(source))
    if not sources:
        sock.setsockopt(level, MCAST_JOIN_GROUP, request)


def _storage(ip: IP) -> bytes:
    """A struct sockaddr_storage; port, and of IPv6 the flow, stand before the address."""
    if ip.version == 6:
        named = struct.pack("=Hxx4x16s", socket.AF_INET6, ip.packed)
    else:
        named = struct.pack("=Hxx4s", socket.AF_INET, ip.packed)
    return named.ljust(_STORAGE, b"\0")


def _largest(connected: socket.socket) -> int:
    # The headers: IPv4's has 20 bytes, IPv6's 40, UDP's 8.
    if connected.family == socket.AF_INET6:
        mtu = connected.getsockopt(socket.IPPROTO_IPV6, IPV6_MTU)
        return min(mtu, _LONGEST_V6) - 48
    mtu = connected.getsockopt(socket.IPPROTO_IP, IP_MTU)
    return min(mtu, _LONGEST_V4) - 28


def _mend(error: OSError, to: Resolved) -> str:
    through = f"through {to.device.name}" if to.device else "from this machine"
    match error.errno:
        case errno.ENETUNREACH | errno.EHOSTUNREACH | errno.ENODEV:
            return f"no route to {to.ip} {through}; name another interface with --interface"
        case errno.EADDRNOTAVAIL:
            return f"{through} there is no address to use with it; name another interface"
        case errno.EADDRINUSE:
            return "the port is taken by another process; stop it, or give another port"
        case errno.EINVAL:
            return f"{to.ip} needs an interface that has it; name one with --interface"
        case errno.EACCES if 0 < to.port < 1024:
            return "ports below 1024 need root or CAP_NET_BIND_SERVICE; give a port from 1024 up"
        case _:
            return os.strerror(error.errno or 0)
