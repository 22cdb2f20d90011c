"""HUP to one process: it takes up changed certificates, and never dies of it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from netkit.certificates.develop import development
from netkit.certificates.issuing import issue
from netkit.tls.client import client_context
from tests.peers import peer
from tests.runtime.process import COMMAND, LOOPS, ServerProcess, serving
from tests.workers.crew import ON_TCP, WHO, echoes, serves

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),
    pytest.mark.parametrize("loop", LOOPS),
]

DER = Encoding.DER


async def shown(port: int) -> bytes:
    """The certificate that the server shows now."""
    context = client_context(ca_certs=development().ca)
    _, writer = await asyncio.open_connection("localhost", port, ssl=context)
    tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
    certificate = tls.getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    assert certificate
    return certificate


async def hang_up(server: ServerProcess, count: int) -> str:
    server.signal(signal.SIGHUP)
    return (await server.logged("reload: ", count))[-1]


async def test_without_tls_connections_go_on(loop: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(WHO)
    async with serving(f"{tmp_path}/app.py:handle", *ON_TCP, loop=loop) as server:
        talker, _ = await serves(server.ports[0])
        for count in (1, 2):
            assert "reload: no certificate has changed" in await hang_up(server, count)
            assert await echoes(talker)
        talker.sock.close()
        assert await server.stop() == -signal.SIGTERM
        assert not server.complaints("warning", "error")


async def test_changed_certificates_are_served(loop: str, tmp_path: Path) -> None:
    cert, key = tmp_path / "server.pem", tmp_path / "server-key.pem"
    first, second = development(), issue(["localhost"])
    shutil.copy(first.cert, cert)
    shutil.copy(first.key, key)
    words = ("echo", "--bind", "tls://localhost:0", "--ssl-certfile", cert, "--ssl-keyfile", key)
    async with serving(*words, loop=loop) as server:
        before = await shown(server.ports[0])
        (tmp_path / "broken").write_text("broken on purpose")
        (tmp_path / "broken").replace(cert)
        await hang_up(server, 1)
        assert await shown(server.ports[0]) == before
        # Said once, whether HUP or the look at the files once a second came first.
        assert len(await server.logged("the certificate loaded before stays in force")) == 1
        shutil.copy(second.key, key)
        shutil.copy(second.cert, cert)
        await hang_up(server, 2)
        after = await shown(server.ports[0])
        assert after == x509.load_pem_x509_certificate(second.cert.read_bytes()).public_bytes(DER)
        assert after != before


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_terminal_that_is_closed_ends_it(loop: str, workers: int) -> None:
    ours, theirs = os.openpty()
    process = await asyncio.create_subprocess_exec(
        *(peer("setsid"), "--ctty", *COMMAND, "serve", "echo", *ON_TCP),
        *("--workers", str(workers), "--loop", loop),
        stdin=theirs,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(theirs)
    assert process.stderr is not None
    while b"listening on" not in await process.stderr.readline():
        pass
    os.close(ours)  # the kernel sends HUP to the session
    await process.stderr.read()
    assert await process.wait() == -signal.SIGHUP
