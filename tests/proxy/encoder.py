"""Writes PROXY headers, to the letter of the specification: the other half of the parser."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence

SIGNATURE = bytes.fromhex("0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A")
FAMILIES = {"UNSPEC": 0, "INET": 1, "INET6": 2, "UNIX": 3}
TRANSPORTS = {"UNSPEC": 0, "STREAM": 1, "DGRAM": 2}

IP = tuple[str, int]


def line(source: IP, destination: IP) -> bytes:
    """A version 1 header."""
    protocol = "TCP6" if ":" in source[0] else "TCP4"
    return (
        f"PROXY {protocol} {source[0]} {destination[0]} {source[1]} {destination[1]}\r\n"
    ).encode()


def addresses(source: IP, destination: IP) -> bytes:
    """The addresses in a version 2 header."""
    packed = [ipaddress.ip_address(host).packed for host, _ in (source, destination)]
    return b"".join(packed) + struct.pack(">HH", source[1], destination[1])


def paths(source: bytes, destination: bytes) -> bytes:
    """The addresses of Unix sockets in a version 2 header."""
    return struct.pack("108s108s", source, destination)


def block(
    payload: bytes,
    *,
    family: str = "INET",
    transport: str = "STREAM",
    command: int = 1,
    version: int = 2,
    tlvs: Sequence[tuple[int, bytes]] = (),
) -> bytes:
    """A version 2 header."""
    payload += b"".join(struct.pack(">BH", kind, len(value)) + value for kind, value in tlvs)
    kind = FAMILIES[family] << 4 | TRANSPORTS[transport]
    return SIGNATURE + struct.pack(">BBH", version << 4 | command, kind, len(payload)) + payload


def with_checksum(header: bytes) -> bytes:
    """The same with a CRC32C TLV after all others (section 2.2.3)."""
    length = len(header) - 16 + 7
    header = header[:14] + struct.pack(">H", length) + header[16:] + b"\x03\x00\x04"
    return header + struct.pack(">I", slow_crc32c(header + bytes(4)))


def slow_crc32c(data: bytes) -> int:
    """Bit by bit, as the polynomial is written down (RFC 9260 appendix A)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


FROM, TO = ("203.0.113.9", 5000), ("198.51.100.1", 443)
LINE = line(FROM, TO)
BLOCK = block(addresses(FROM, TO))
LOCAL = block(b"", family="UNSPEC", transport="UNSPEC", command=0)
