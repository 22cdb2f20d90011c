"""The header in which a proxy says for whom it speaks: PROXY protocol, versions 1 and 2.

`Parser` is fed with the beginning of a connection and takes the header's bytes, no
more. It has no socket and no clock, and never holds more than `LONGEST` bytes.

Source: ``doc/proxy-protocol.txt`` of HAProxy, "The PROXY protocol, Versions 1 & 2",
whose sections are named below.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import struct
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeVar

LONGEST = 4096
"""Bytes of a version 2 header that are accepted, of the 65,551 that its length field could claim.

Senders keep to one segment of 536 bytes (section 2); this leaves room for TLVs of their own.
"""

LONGEST_LINE = 107
"""Bytes of a version 1 line, with its CRLF (section 2.1)."""

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LINE = b"PROXY "

CRC32C = 0x03
"""Type of the TLV that holds the header's checksum (section 2.2.3)."""

Name = tuple[str, int] | tuple[str, int, int, int] | str | bytes
"""An address as `socket.getpeername` gives it for its family."""
Command = Literal["LOCAL", "PROXY"]
Family = Literal["UNSPEC", "INET", "INET6", "UNIX"]
Transport = Literal["UNSPEC", "STREAM", "DGRAM"]

_FIXED = struct.Struct(">12sBBH")
_COMMANDS: tuple[Command, ...] = ("LOCAL", "PROXY")
_FAMILIES: tuple[Family, ...] = ("UNSPEC", "INET", "INET6", "UNIX")
_TRANSPORTS: tuple[Transport, ...] = ("UNSPEC", "STREAM", "DGRAM")
_BLOCKS: dict[Family, struct.Struct] = {
    "INET": struct.Struct(">4s4sHH"),
    "INET6": struct.Struct(">16s16sHH"),
    "UNIX": struct.Struct("108s108s"),
}
T = TypeVar("T")
_CONTROL = re.compile(rb"[^ -~]")
_PORT = re.compile(r"0|[1-9][0-9]{0,4}")


class WrongHeaderError(Exception):
    """What a connection begins with is no header; the message says why, in one line."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a proxy said of the connection that it relays."""

    version: int
    command: Command
    """``LOCAL``: the proxy speaks for itself, as in a health check."""
    family: Family = "UNSPEC"
    transport: Transport = "UNSPEC"
    source: Name | None = None
    """The real peer; None if the proxy did not say, and the connection's own peer stands."""
    destination: Name | None = None
    """Where that peer had connected to."""
    tlvs: tuple[tuple[int, bytes], ...] = ()
    """Types and raw values of what a version 2 header holds besides, in its order (section 2.2)."""

    def tlv(self, kind: int) -> bytes | None:
        """The first value of a type; None if there is none."""
        return next((value for each, value in self.tlvs if each == kind), None)


class Parser:
    """Takes one header from the beginning of a stream."""

    def __init__(self) -> None:
        self.header: Header | None = None
        """The header, once all of it has been taken."""
        self._taken = bytearray()

    @property
    def wanted(self) -> int:
        """How many more bytes can belong to the header, at most; 0 when it is complete."""
        if self.header is not None:
            return 0
        most = LONGEST
        if self._taken.startswith(LINE[:1]):
            most = LONGEST_LINE
        elif len(self._taken) >= _FIXED.size:
            most = _size(self._taken)
        return most - len(self._taken)

    def feed(self, data: bytes) -> int:
        """Take what belongs to the header; return how many bytes of `data` that is.

        Raises `WrongHeaderError`, after which the parser is of no more use.
        """
        if self.header is not None:
            return 0
        before = len(self._taken)
        self._taken += data[: self.wanted]
        end = self._end()
        if end is None:
            return len(self._taken) - before
        whole = bytes(self._taken[:end])
        self._taken.clear()
        self.header = _parse_line(whole) if whole.startswith(LINE) else _parse_block(whole)
        return end - before

    def _end(self) -> int | None:
        """Where the header ends; None if that is not here yet."""
        taken = self._taken
        if SIGNATURE.startswith(taken[: len(SIGNATURE)]):
            if len(taken) < _FIXED.size or len(taken) < (size := _size(taken)):
                return None
            return size
        if not LINE.startswith(taken[: len(LINE)]):
            raise WrongHeaderError(f"no PROXY header: it begins with {bytes(taken[:12])!r}")
        end = taken.find(b"\r\n", 0, LONGEST_LINE)
        if end >= 0:
            return end + 2
        if len(taken) >= LONGEST_LINE:
            raise WrongHeaderError(f"PROXY line without CRLF in its first {LONGEST_LINE} bytes")
        return None


def _parse_line(line: bytes) -> Header:
    """Read a version 1 header (section 2.1)."""
    if _CONTROL.search(text := line[:-2]):
        raise WrongHeaderError(f"PROXY line with a byte that is no text: {text!r}")
    _, protocol, *words = text.decode("ascii").split(" ")
    if protocol == "UNKNOWN":
        return Header(1, "PROXY")  # whatever follows is to be ignored
    if protocol not in ("TCP4", "TCP6") or len(words) != 4:
        raise WrongHeaderError(
            f"PROXY line is neither UNKNOWN nor TCP4 or TCP6 with two addresses and two ports:"
            f" {text!r}"
        )
    family: Family = "INET" if protocol == "TCP4" else "INET6"
    source, destination = (_packed(word, family) for word in words[:2])
    from_port, to_port = map(_port, words[2:])
    return Header(
        1, "PROXY", family, "STREAM",
        _name(family, source, from_port), _name(family, destination, to_port),
    )  # fmt: skip


def _packed(word: str, family: Family) -> bytes:
    kind = ipaddress.IPv4Address if family == "INET" else ipaddress.IPv6Address
    try:
        if "%" in word:  # a zone means something on the proxy's machine alone
            raise ValueError
        return kind(word).packed
    except ValueError:
        raise WrongHeaderError(f"PROXY line: {word!r} is no {family} address") from None


def _port(word: str) -> int:
    if not _PORT.fullmatch(word) or int(word) > 65535:
        raise WrongHeaderError(f"PROXY line: {word!r} is no port (0 to 65535)")
    return int(word)


def _size(taken: bytearray) -> int:
    """Bytes of a version 2 header, of which the fixed part is there. Checks that part."""
    _, version_and_command, _, length = _FIXED.unpack_from(taken)
    if version_and_command >> 4 != 2:
        raise WrongHeaderError(f"PROXY header of the unknown version {version_and_command >> 4}")
    size: int = _FIXED.size + length
    if size > LONGEST:
        raise WrongHeaderError(f"PROXY header of {size} bytes; at most {LONGEST} are accepted")
    return size


def _parse_block(block: bytes) -> Header:
    """Read a version 2 header (section 2.2)."""
    _, version_and_command, family_and_transport, _ = _FIXED.unpack_from(block)
    command = _known(_COMMANDS, version_and_command & 15, "command")
    if command == "LOCAL":
        return Header(2, command)  # the rest is to be discarded
    family = _known(_FAMILIES, family_and_transport >> 4, "address family")
    transport = _known(_TRANSPORTS, family_and_transport & 15, "transport")
    layout = _BLOCKS.get(family)
    if layout is None:
        return Header(2, command, family, transport)  # of unknown size: nothing can be read
    start = _FIXED.size + layout.size
    if len(block) < start:
        raise WrongHeaderError(
            f"PROXY header too short for {family} addresses: {len(block)} bytes, not {start}"
        )
    tlvs = _tlvs(block, start)
    source, destination, *ports = layout.unpack_from(block, _FIXED.size)
    if transport == "UNSPEC":
        return Header(2, command, family, transport, tlvs=tlvs)  # addresses are to be ignored
    from_port, to_port = ports or (0, 0)
    return Header(
        2, command, family, transport,
        _name(family, source, from_port), _name(family, destination, to_port), tlvs,
    )  # fmt: skip


def _known(names: tuple[T, ...], number: int, what: str) -> T:
    if number >= len(names):
        raise WrongHeaderError(f"PROXY header with the unknown {what} {number}")
    return names[number]


def _name(family: Family, packed: bytes, port: int) -> Name:
    if family == "INET":
        return socket.inet_ntop(socket.AF_INET, packed), port
    if family == "INET6":
        return socket.inet_ntop(socket.AF_INET6, packed), port, 0, 0
    if packed.startswith(b"\0"):  # abstract, or without a name
        return packed.rstrip(b"\0") or ""
    return os.fsdecode(packed.partition(b"\0")[0])


def _tlvs(block: bytes, start: int) -> tuple[tuple[int, bytes], ...]:
    found = []
    while start < len(block):
        if start + 3 > len(block):
            raise WrongHeaderError("PROXY header ends in the middle of a TLV")
        kind, length = struct.unpack_from(">BH", block, start)
        start += 3
        value = block[start : start + length]
        if len(value) < length:
            raise WrongHeaderError(
                f"PROXY header: TLV {kind:#04x} claims {length} bytes where {len(value)} are left"
            )
        if kind == CRC32C:
            _check(block, start, value)
        found.append((kind, value))
        start += length
    return tuple(found)


def _check(block: bytes, start: int, value: bytes) -> None:
    without = block[:start] + bytes(len(value)) + block[start + len(value) :]
    if len(value) != 4 or crc32c(without) != int.from_bytes(value):
        raise WrongHeaderError("PROXY header damaged: its CRC32C checksum is wrong")


def crc32c(data: bytes) -> int:
    """Castagnoli's checksum (RFC 9260 appendix A)."""
    table = _crc_table()
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


@cache
def _crc_table() -> tuple[int, ...]:
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)
