"""Datagrams as a capture file that Wireshark, tshark and tcpdump read (draft-ietf-opsawg-pcap).

A socket hands over what was inside UDP, so the headers of IP and UDP are made here, from the
addresses: time to live, identification and the like are made up, and fragments are whole.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import time
from collections.abc import Callable
from functools import lru_cache

from netkit.clients.listen.events import Address
from netkit.clients.listen.hearing import Ear, Send

_NANOSECONDS = 0xA1B23C4D  # the magic that says how fine its times are
_LINKTYPE_RAW = 101  # begins with the IP header, version 4 or 6
_LONGEST = 262_144

FILE_HEADER = struct.pack("<IHHiIII", _NANOSECONDS, 2, 4, 0, 0, _LONGEST, _LINKTYPE_RAW)
"""The first 24 bytes of a file."""

_RECORD = struct.Struct("<IIII")  # seconds, nanoseconds, bytes kept, bytes on the wire
_UDP = struct.Struct(">HHHH")
_IPV4 = struct.Struct(">BBHHHBBH4s4s")
_IPV6 = struct.Struct(">IHBB16s16s")
_HOPS = 64


class Capture:
    """An ear before another: keeps a copy of all that comes to `destination`, and hands it on."""

    def __init__(self, ear: Ear, destination: Address, keep: Callable[[bytes], None]) -> None:
        self._ear = ear
        self._destination = destination
        self._keep = keep

    def hear(self, datagram: bytes, source: Address, send: Send) -> None:
        """Hear of one."""
        self._keep(packet(source, self._destination, datagram, time.time_ns()))
        self._ear.hear(datagram, source, send)

    def hear_run(self, view: memoryview, size: int, source: Address, send: Send) -> None:
        """Hear of many of `size` bytes in one buffer, the last perhaps shorter."""
        now = time.time_ns()
        for at in range(0, len(view), size) if size else (0,):
            self._keep(packet(source, self._destination, bytes(view[at : at + size]), now))
        self._ear.hear_run(view, size, source, send)


def packet(source: Address, destination: Address, payload: bytes, time_ns: int) -> bytes:
    """A datagram as a capture file has it.

    The addresses are as a socket gives them, (host, port) or with IPv6's flow and scope;
    `time_ns` is in Unix time.
    """
    content = _ip(source, destination, payload)
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return _RECORD.pack(seconds, nanoseconds, len(content), len(content)) + content


def _ip(source: Address, destination: Address, payload: bytes) -> bytes:
    own, other = _packed(str(source[0])), _packed(str(destination[0]))
    length = _UDP.size + len(payload)
    pseudo = own + other + struct.pack(">IHH", length, 0, socket.IPPROTO_UDP)
    ports = source[1], destination[1]
    # RFC 768: a checksum of 0 would mean that there is none.
    checksum = _checksum(pseudo + _UDP.pack(*ports, length, 0) + payload) or 0xFFFF
    datagram = _UDP.pack(*ports, length, checksum) + payload
    if len(own) == 16:
        header = _IPV6.pack(6 << 28, length, socket.IPPROTO_UDP, _HOPS, own, other)
        return header + datagram
    return _ipv4(own, other, length) + datagram


def _ipv4(own: bytes, other: bytes, length: int) -> bytes:
    def made(checksum: int) -> bytes:
        return _IPV4.pack(
            0x45, 0, _IPV4.size + length, 0, 0, _HOPS, socket.IPPROTO_UDP, checksum, own, other
        )

    return made(_checksum(made(0)))


def _checksum(data: bytes) -> int:
    """RFC 1071's: since 2¹⁶ is 1 modulo 2¹⁶-1, its sum of words is a remainder."""
    even = data if len(data) % 2 == 0 else data + b"\0"
    return 0xFFFF - (int.from_bytes(even, "big") % 0xFFFF or 0xFFFF)


@lru_cache(maxsize=256)
def _packed(host: str) -> bytes:
    return ipaddress.ip_address(host.partition("%")[0]).packed
