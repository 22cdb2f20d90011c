"""`netkit serve tls` in this loop, and the programs that call it."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netkit.certificates.develop import development
from netkit.options import TLS
from netkit.server import Server
from netkit.servers.tls import Tls
from netkit.serving import serve
from netkit.tls import client_context
from tests.peers import peer


@asynccontextmanager
async def telling(**tls: Any) -> AsyncIterator[int]:
    """Tell callers what was negotiated, on a port that is yielded."""
    async with serve(Tls(), tls=TLS(**tls)) as server:
        yield port(server)


def port(server: Server) -> int:
    return int(server.addresses[0].rpartition(":")[2])


@dataclass(frozen=True)
class Called:
    """How a program ended, and what it wrote."""

    status: int
    output: str

    def row(self, label: str, section: str = "Negotiated") -> str:
        """A row of the text, in one line."""
        lines = self.output.replace("\r", "").partition(f"\n{section}\n")[2].split("\n")
        start = next(i for i, line in enumerate(lines) if line.startswith(f"  {label} "))
        rows = [lines[start].removeprefix(f"  {label} ")]
        for line in lines[start + 1 :]:
            if not line.startswith("    "):
                break
            rows.append(line)
        return " ".join(each.strip() for each in rows)


async def call(program: str, *arguments: str | Path, given: bytes = b"") -> Called:
    """Run a program, with its input open until it ends as if a person sat there."""
    process = await asyncio.create_subprocess_exec(
        peer(program), *map(str, arguments), stdin=PIPE, stdout=PIPE, stderr=STDOUT
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(given)
    said = await process.stdout.read()
    process.stdin.close()
    return Called(await process.wait(), said.decode())


async def openssl(port: int, *more: str | Path, given: bytes = b"") -> Called:
    """A line client that demands a good certificate."""
    verified = ("-verify_return_error", "-verify_hostname", "localhost")
    known = ("-CAfile", development().ca, "-connect", f"127.0.0.1:{port}")
    return await call("openssl", "s_client", "-quiet", *verified, *known, *more, given=given)


async def curl(port: int, *more: str | Path, path: str = "/") -> Called:
    url = f"https://localhost:{port}{path}"
    return await call("curl", "-sS", "--cacert", development().ca, *more, url)


async def curl_json(port: int, *more: str | Path) -> dict[str, Any]:
    called = await curl(port, "-H", "Accept: application/json", *more)
    assert called.status == 0, called.output
    found: dict[str, Any] = json.loads(called.output)
    return found


async def raw(port: int, sent: bytes, alpn: Sequence[str] = ("http/1.1",)) -> bytes:
    """What comes for these bytes, to its end."""
    context = client_context(alpn=alpn)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="localhost"
    )
    writer.write(sent)
    found = await reader.read()
    writer.close()
    await writer.wait_closed()
    return found
