"""What is scanned, with the development certificate of the folder that NETKIT_CERTS names."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from netkit.certificates.develop import development
from tests.peers import peer
from tests.runtime.process import serving

SERVERS = ("echo", "chat", "tls")
"""Those of netkit's: anything, a protocol of lines, and the one that shows what TLS agreed to."""


@asynccontextmanager
async def netkit(server: str, loop: str, *flags: object) -> AsyncIterator[int]:
    """Run one with its defaults; yield its port."""
    async with serving(server, "--bind", "tls://127.0.0.1:0", *flags, loop=loop) as process:
        yield process.ports[0]
        assert not process.complaints(), process.log


@asynccontextmanager
async def plain_context() -> AsyncIterator[int]:
    """asyncio with the context that Python's documentation gives to a server."""
    made = development()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.cert, made.key)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(4096):
                writer.write(data)
                await writer.drain()
        except OSError:  # the scanner left
            pass
        finally:
            writer.close()

    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda *_: None)  # each probe of a scanner is a fault to it
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    try:
        async with server:
            yield server.sockets[0].getsockname()[1]
    finally:
        loop.set_exception_handler(before)


@asynccontextmanager
async def nginx(folder: Path) -> AsyncIterator[int]:
    """nginx as Debian ships it, with TLS on, and told of nothing else but the certificate."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        (folder / "nginx.conf").write_text(_configuration(folder, port))
        process = await asyncio.create_subprocess_exec(
            *(peer("nginx"), "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"),
            # It takes over sockets that listen already, as from the nginx that it replaces.
            env=os.environ | {"NGINX": f"{listening.fileno()};"},
            pass_fds=(listening.fileno(),),
        )
        try:
            yield port
        finally:
            process.terminate()
            await process.wait()


def _configuration(folder: Path, port: int) -> str:
    made = development()
    debian = Path("/etc/nginx/nginx.conf").read_text()
    tls = re.findall(r"^\s*(ssl_[^;]+;)", debian, re.MULTILINE)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return f"""
daemon off; pid {folder}/pid; worker_processes 1;
events {{}}
http {{
    access_log off;
    {" ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)}
    {" ".join(tls)}
    server {{
        listen 127.0.0.1:{port} ssl; server_name localhost;
        ssl_certificate {made.cert}; ssl_certificate_key {made.key};
        location / {{ return 200 "nginx"; }}
    }}
}}
"""
