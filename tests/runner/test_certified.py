"""Callers by certificate: the right one, and all the wrong ones."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import netkit
from netkit.certificates import authority, files
from netkit.certificates.issuing import Issued, issue
from netkit.errors import UsageError
from netkit.limits import Limits
from netkit.options import TLS
from netkit.servers.runner import Runner
from netkit.tls import client_context
from netkit.trust import Proxy
from tests.runner.talking import HERE, Talker, audited, listed, shell, talker

ECHO = f"""[commands.echo]
program = "/bin/echo"
{HERE.replace("loopback", "cn:alice")}detach = true

[commands.mail]
program = "/bin/echo"
callers = ["san:email:carol@example.org"]
"""


@asynccontextmanager
async def serving(folder: Path, **limits: float) -> AsyncIterator[netkit.Server]:
    ours = issue(["localhost", "127.0.0.1"])
    tls = TLS(
        ssl_certfile=(ours.cert,), ssl_keyfile=(ours.key,),
        ssl_ca_certs=ours.cert.parent.parent / "ca.pem",
    )  # fmt: skip
    service = Runner(allow=listed(folder, ECHO), audit=folder / "audit")
    bounds = Limits(**limits)  # type: ignore[arg-type]  # all of one kind
    async with netkit.serve(service, bind="tls://127.0.0.1:0", tls=tls, limits=bounds) as server:
        yield server


@asynccontextmanager
async def calling(server: netkit.Server, who: Issued | None) -> AsyncIterator[Talker]:
    port = int(server.addresses[0].rpartition(":")[2])
    context = client_context()
    if who:  # not by ours, which refuses to show what no server would take
        context.load_cert_chain(who.cert, who.key)
    one = Talker(
        *await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    )
    try:
        yield one
    finally:
        one.writer.transport.abort()


async def refused(server: netkit.Server, who: Issued | None) -> None:
    """Nothing is answered; TLS 1.3 tells a client when it reads (RFC 8446, section 4.4.3)."""
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        async with calling(server, who) as one:
            await one.hello()
    assert server.service.figures()["runner_jobs_total"] == 0


async def test_the_right_certificate(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, calling(server, issue(["alice"], client=True)) as one:
        await one.hello()
        await one.start("echo")
        assert (await one.end())[2].status == 0
        await one.start("mail", job=2)
        assert (await one.error(2)).startswith("denied")
    assert audited(tmp_path / "audit")[0]["caller"] == ["cn:alice"]


async def test_by_an_alternative_name(tmp_path: Path) -> None:
    carol = issue(["carol@example.org"], client=True)
    async with serving(tmp_path) as server, calling(server, carol) as one:
        await one.hello()
        await one.start("mail")
        assert (await one.end())[2].status == 0
        await one.start("echo")
        assert (await one.error()).startswith("denied")


@pytest.mark.parametrize(
    "name", ["bob", "alice2", "Alice", "cn:alice", "alice bob", "loopback", "*"]
)
async def test_somebody_else(tmp_path: Path, name: str) -> None:
    async with serving(tmp_path) as server, calling(server, issue([name], client=True)) as one:
        await one.hello()
        await one.start("echo")
        assert (await one.error()).startswith("denied")


async def test_no_certificate(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await refused(server, None)


async def test_a_certificate_of_another_ca(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await refused(server, issue(["alice"], client=True, folder=tmp_path / "other"))


async def test_a_certificate_that_has_expired(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await refused(server, signed(tmp_path, "alice", ends=-1))


async def test_a_certificate_that_is_not_valid_yet(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await refused(server, signed(tmp_path, "alice", begins=1))


async def test_a_servers_certificate_is_no_clients(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await refused(server, issue(["localhost"]))


async def test_without_tls_nothing_is_answered(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        port = int(server.addresses[0].rpartition(":")[2])
        plain = Talker(*await asyncio.open_connection("127.0.0.1", port))
        await plain.say("RUN echo\n")
        assert b"OUT" not in await plain.rest()
        await plain.leave()
        assert server.service.figures()["runner_jobs_total"] == 0


@pytest.mark.parametrize("bind", ["127.0.0.1:0", "unix"])
async def test_a_proxys_word_is_no_proof(tmp_path: Path, bind: str) -> None:
    everybody = f'"loopback", "uid:{os.getuid()}", "*"'
    text = shell("echo", "echo").replace('"loopback"', everybody)
    service = Runner(allow=listed(tmp_path, text))
    where = f"unix:{tmp_path}/s" if bind == "unix" else bind
    proxy = Proxy(("unix", "127.0.0.1"))
    for told in (b"TCP4 127.0.0.1 127.0.0.1 1 2", b"TCP4 192.0.2.1 192.0.2.2 1 2", b"UNKNOWN"):
        async with (
            netkit.serve(service, bind=where, proxy=proxy) as server,
            talker(server, greeted=False) as one,
        ):
            one.writer.write(b"PROXY " + told + b"\r\nRUN echo\n")
            assert (await one.rest()).startswith(b"ERROR denied show a client certificate")
            assert server.service.figures()["runner_jobs_total"] == 0


@pytest.mark.parametrize("bind", ["0.0.0.0:0", "tls://0.0.0.0:0", "[::]:0"])
async def test_nobody_would_be_known(tmp_path: Path, bind: str) -> None:
    ours = issue(["localhost"])
    service = Runner(allow=listed(tmp_path, ECHO))
    tls = TLS(ssl_certfile=(ours.cert,), ssl_keyfile=(ours.key,))
    with pytest.raises(UsageError, match="whoever reaches it would be unknown"):
        async with netkit.serve(service, bind=bind, tls=tls if "tls" in bind else False):
            pass
    verified = TLS(
        ssl_certfile=(ours.cert,), ssl_keyfile=(ours.key,),
        ssl_ca_certs=ours.cert.parent.parent / "ca.pem",
    )  # fmt: skip
    async with netkit.serve(service, bind="tls://0.0.0.0:0", tls=verified) as server:
        assert server.accepting


async def test_handshakes_that_never_end(tmp_path: Path) -> None:
    """Bytes before a handshake is done never reach the runner; the runtime ends them."""
    async with serving(tmp_path, handshake=0.2) as server:
        port = int(server.addresses[0].rpartition(":")[2])
        socks = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
        loop = asyncio.get_running_loop()
        for sock in socks:
            sock.setblocking(False)
            sock.send(b"\x16\x03\x01")
        async with calling(server, issue(["alice"], client=True)) as one:
            await one.hello()
            await one.start("echo")
            assert (await one.end())[2].status == 0
        for sock in socks:
            assert await loop.sock_recv(sock, 100) == b""
            sock.close()


async def test_detached_jobs_belong_to_all_names_of_a_certificate(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        async with calling(server, issue(["alice"], client=True)) as one:
            await one.hello()
            number = (await one.started("echo", detach=True)).id
        also_alice = signed(tmp_path, "alice", alternative="alice@example.org")
        async with calling(server, also_alice) as other:
            await other.hello()
            await other.attach(number)
            assert (await other.error()).startswith("gone")
        async with calling(server, issue(["alice"], client=True)) as again:  # a renewed one
            await again.hello()
            await again.attach(number)
            assert (await again.end())[2].status == 0


def signed(
    folder: Path, name: str, *, begins: float = -2, ends: float = 2, alternative: str = ""
) -> Issued:
    """A client's certificate under the development CA, valid for days from now."""
    ca = authority.authority(folder / "certs")
    key = authority.new_key()
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(ca.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=begins))
        .not_valid_after(now + timedelta(days=ends))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    )
    if alternative:
        names = x509.SubjectAlternativeName([x509.RFC822Name(alternative)])
        builder = builder.add_extension(names, critical=False)
    certificate = builder.sign(ca.key, hashes.SHA256())
    made = Issued(folder / "signed.pem", folder / "signed-key.pem")
    files.write(made.key, authority.key_pem(key), files.PRIVATE)
    made.cert.write_bytes(certificate.public_bytes(Encoding.PEM))
    return made
