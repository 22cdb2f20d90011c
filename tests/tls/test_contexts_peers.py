"""Contexts on both loops, with programs that we did not write."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from netkit.certificates.develop import development
from netkit.certificates.issuing import issue
from netkit.tls import ServerTLS, client_context
from tests.handshakes import local, put
from tests.peers import peer


@asynccontextmanager
async def serving(tls: ServerTLS) -> AsyncIterator[int]:
    """Serve one short HTTP answer to whoever connects; yield the port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readline()
            writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nnetkit")
            await writer.drain()
        except OSError:  # a refused client
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls.context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def run(*command: str, given: bytes = b"GET / HTTP/1.0\r\n\r\n") -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate(given)
    return process.returncode or 0, said.decode("utf-8", "replace")


async def test_curl_trusts_the_ca_and_nothing_less() -> None:
    ca = str(development().ca)
    async with serving(local()) as port:
        url = f"https://localhost:{port}/"
        status, said = await run(peer("curl"), "-sS", "--http1.0", "--cacert", ca, url)
        assert (status, said) == (0, "netkit")
        status, _ = await run(peer("curl"), "-sS", url)
        assert status == 60  # CURLE_PEER_FAILED_VERIFICATION


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_openssl_client_verifies(version: str) -> None:
    ca = str(development().ca)
    async with serving(local()) as port:
        status, said = await run(
            *(peer("openssl"), "s_client", "-quiet", "-verify_return_error", version),
            *("-verify_hostname", "localhost", "-CAfile", ca, "-connect", f"127.0.0.1:{port}"),
        )
        assert status == 0, said
        assert "netkit" in said


async def test_client_certificate_of_openssl_and_curl() -> None:
    made, alice = development(), issue(["alice"], client=True)
    async with serving(local(client_ca=made.ca)) as port:
        url = f"https://localhost:{port}/"
        base = (peer("curl"), "-sS", "--http1.0", "--cacert", str(made.ca))
        shown = ("--cert", str(alice.cert), "--key", str(alice.key))
        assert await run(*base, *shown, url) == (0, "netkit")
        status, _ = await run(*base, url)
        assert status != 0


async def test_replaced_certificate_on_a_live_server_drops_nobody() -> None:
    tls, made, new = local(), development(), issue(["localhost"])
    async with serving(tls) as port:
        connect = {"host": "localhost", "port": port, "ssl": client_context()}
        reader, writer = await asyncio.open_connection(**connect)  # type: ignore[arg-type]  # mixed types
        put(made.key, new.key.read_bytes())
        put(made.cert, new.cert.read_bytes())
        assert len(tls.reload_if_changed()) == 1
        newcomer, newcomers = await asyncio.open_connection(**connect)  # type: ignore[arg-type]  # mixed types
        der = newcomers.get_extra_info("ssl_object").getpeercert(binary_form=True)
        assert ssl.DER_cert_to_PEM_cert(der).split() == new.cert.read_text().split()
        for lines, line in ((reader, writer), (newcomer, newcomers)):
            line.write(b"hello\r\n")
            assert (await lines.read()).endswith(b"netkit")
            line.close()
            await line.wait_closed()


async def test_replaced_client_ca_on_a_live_server() -> None:
    made, alice = development(), issue(["alice"], client=True)
    ca = made.ca.parent / "clients.pem"
    ca.write_bytes(made.ca.read_bytes())
    tls = local(client_ca=ca)
    other = development(made.ca.parent / "other")
    shown = ("--cert", str(alice.cert), "--key", str(alice.key))
    async with serving(tls) as port:
        command = (peer("curl"), "-sS", "--http1.0", "--cacert", str(made.ca), *shown)
        assert (await run(*command, f"https://localhost:{port}/"))[0] == 0
        put(ca, other.ca.read_bytes())
        tls.reload_if_changed()
        status, _ = await run(*command, f"https://localhost:{port}/")
        assert status != 0


def test_program_in_the_documentation_runs() -> None:
    page = (Path(__file__).parents[2] / "docs/tls.md").read_text()
    program = page.partition("```python\n")[2].partition("```")[0]
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (ran.stdout, ran.stderr) == ("hello\n", "")
