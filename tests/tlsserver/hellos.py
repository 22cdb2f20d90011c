"""Hellos: made by hand, and as real programs send them; and what tshark says of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import struct
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from netkit.tls import hello
from tests.peers import peer

RANDOM = bytes(range(32))


def vector(size: int, body: bytes) -> bytes:
    """What RFC 8446 writes as ``opaque body<0..2^(8*size)-1>``."""
    return len(body).to_bytes(size) + body


def shorts(numbers: Sequence[int]) -> bytes:
    return b"".join(each.to_bytes(2) for each in numbers)


def message(
    suites: Sequence[int] = (0x1301,),
    extensions: Sequence[tuple[int, bytes]] = (),
    *,
    version: int = 0x0303,
    session_id: bytes = b"",
) -> bytes:
    """A handshake message; without extensions as SSL 3 had it, with no list of them at all."""
    body = version.to_bytes(2) + RANDOM + vector(1, session_id)
    body += vector(2, shorts(suites)) + vector(1, b"\0")
    if extensions:
        body += vector(2, b"".join(shorts([kind]) + vector(2, each) for kind, each in extensions))
    return b"\x01" + vector(3, body)


def records(content: bytes, size: int = 16_384) -> bytes:
    """Records of at most so many bytes each."""
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    return b"".join(b"\x16\x03\x01" + vector(2, piece) for piece in pieces)


def of_python(*alpn: str, host: str = "example.org") -> bytes:
    context = ssl.create_default_context()
    if alpn:
        context.set_alpn_protocols(alpn)
    outgoing = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=host)
    with contextlib.suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


NODE = (
    "require('tls').connect({host: '127.0.0.1', port: +process.argv[1], servername: 'localhost',"
    " ALPNProtocols: ['h2', 'http/1.1']}).on('error', () => {})"
)


async def of_program(program: str, *arguments: str) -> bytes:
    """What a program sends first, to the port that stands for ``PORT`` in its arguments."""
    sent: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(5)
        sent.set_result(head + await reader.readexactly(int.from_bytes(head[3:])))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        port = str(server.sockets[0].getsockname()[1])
        process = await asyncio.create_subprocess_exec(
            *(peer(program), *(each.replace("PORT", port) for each in arguments)),
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=DEVNULL,
        )
        found = await sent
        await process.wait()
    return found


def capture(sent: bytes) -> bytes:
    """A capture file with one segment to port 443 (pcap, link type 101: raw IP)."""
    tcp = struct.pack(">HHIIBBHHH", 40_000, 443, 1, 1, 5 << 4, 0x18, 65_535, 0, 0) + sent
    loopback = bytes([127, 0, 0, 1])
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0) + loopback * 2 + tcp
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 101)
    return header + struct.pack("<IIII", 0, 0, len(ip), len(ip)) + ip


@dataclass(frozen=True)
class Seen:
    """What tshark sees in a hello; `ja4` is None where it does not know of that."""

    ja3: str
    ja3_text: str
    suites: tuple[int, ...]
    extensions: tuple[int, ...]
    server_name: str
    alpn: tuple[str, ...]
    ja4: str | None


FIELDS = ["ja3", "ja3_full", "ciphersuite", "extension.type"]
FIELDS += ["extensions_server_name", "extensions_alpn_str"]


async def tshark(sent: bytes, folder: Path) -> Seen:
    file = folder / "hello.pcap"
    file.write_bytes(capture(sent))
    found = await _fields(file, FIELDS)
    assert found is not None
    ja4 = await _fields(file, ("ja4",))  # Wireshark has it since 4.2
    suites, extensions = (tuple(int(n, 0) for n in text.split(",")) for text in found[2:4])
    alpn = tuple(each for each in found[5].split(",") if each)
    return Seen(found[0], found[1], suites, extensions, found[4], alpn, ja4[0] if ja4 else None)


async def _fields(file: Path, names: Sequence[str]) -> list[str] | None:
    """The fields' values; None if this tshark does not have them."""
    asked = [word for each in names for word in ("-e", f"tls.handshake.{each}")]
    process = await asyncio.create_subprocess_exec(
        *(peer("tshark"), "-n", "-r", str(file), "-T", "fields", *asked),
        stdout=PIPE,
        stderr=DEVNULL,
        env=os.environ | {"HOME": str(file.parent)},
    )
    said, _ = await process.communicate()
    return said.decode().rstrip("\n").split("\t") if process.returncode == 0 else None


def parsed(
    suites: Sequence[int] = (0x1301,), extensions: Sequence[tuple[int, bytes]] = ()
) -> hello.ClientHello:
    return hello.parse(records(message(suites, extensions)))
