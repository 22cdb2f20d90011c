"""What ``netkit serve --tls`` agrees to, asked by openssl: groups, suites, kinds of certificate."""

from __future__ import annotations

import asyncio
import os
import ssl
import struct
import subprocess
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest

from netkit.tls import groups
from tests.handshakes import rsa_pair
from tests.peers import peer
from tests.runtime.process import LOOPS, serving

HELLO = """
import ssl, sys
from netkit.tls import client_context, groups
if "own" in sys.argv:
    groups.own_process()
context = client_context(insecure=True)
coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
try:
    context.wrap_bio(coming, going, server_hostname="localhost").do_handshake()
except ssl.SSLWantReadError:
    print(going.read().hex())
"""


async def openssl(port: int, *words: str, given: bytes = b"") -> tuple[int, str]:
    """Call a server as `openssl s_client` does; its status and what it says."""
    process = await asyncio.create_subprocess_exec(
        *(peer("openssl"), "s_client", "-brief", "-connect", f"127.0.0.1:{port}"),
        *("-servername", "localhost", *words),
        stdin=PIPE,
        stdout=PIPE,
        stderr=STDOUT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(given)
    if not given:
        process.stdin.close()
    # With something given it is the server that ends the connection.
    said = (await process.stdout.read()).decode()
    process.stdin.close()
    return await process.wait(), said


@pytest.mark.asyncio(loop_factories=["asyncio"])
@pytest.mark.parametrize("loop", LOOPS)
async def test_groups_and_suites(loop: str) -> None:
    async with serving("echo", "--bind", "tls://127.0.0.1:0", loop=loop) as server:
        (port,) = server.ports
        for name, shown in (("X25519", "X25519"), ("P-256", "prime256v1"), ("P-384", "secp384r1")):
            status, said = await openssl(port, "-tls1_3", "-groups", name)
            assert (status, shown in said) == (0, True), said
        for name in ("X448", "P-521", "ffdhe3072"):
            status, said = await openssl(port, "-tls1_3", "-groups", name)
            assert (status, "alert" in said) == (1, True), said
        # By 1.2 the curve of the certificate must be among them too.
        status, said = await openssl(port, "-tls1_2", "-groups", "X448:P-521:P-256")
        assert (status, "prime256v1" in said) == (0, True), said
        # The server's order of suites holds, not the client's.
        words = ("ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES256-GCM-SHA384")
        status, said = await openssl(port, "-tls1_2", "-cipher", ":".join(words))
        assert (status, words[1] in said) == (0, True), said
        for weak in ("ECDHE-ECDSA-AES256-SHA384", "AES256-GCM-SHA384", "DHE-RSA-AES256-GCM-SHA384"):
            status, said = await openssl(port, "-tls1_2", "-cipher", weak)
            assert (status, "alert" in said) == (1, True), said
        status, said = await openssl(port, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
        assert (status, "alert" in said) == (1, True), said


@pytest.mark.asyncio(loop_factories=["asyncio"])
@pytest.mark.parametrize("loop", LOOPS)
async def test_renegotiation_is_refused(loop: str) -> None:
    async with serving("echo", "--bind", "tls://127.0.0.1:0", loop=loop) as server:
        status, said = await openssl(server.ports[0], "-tls1_2", given=b"R\n")
        assert status == 1
        assert "RENEGOTIATING" in said
        assert "no renegotiation" in said
        assert (await openssl(server.ports[0]))[0] == 0  # the others are served on


@pytest.mark.asyncio(loop_factories=["asyncio"])
@pytest.mark.parametrize("loop", LOOPS)
async def test_rsa_beside_ecdsa(loop: str, own_certificates: Path) -> None:
    rsa = rsa_pair(own_certificates)
    ecdsa = own_certificates / "localhost.pem", own_certificates / "localhost-key.pem"
    words: list[object] = ["echo", "--bind", "tls://127.0.0.1:0"]
    for cert, key in (ecdsa, rsa):
        words += ["--ssl-certfile", cert, "--ssl-keyfile", key]
    trusting = ["-CAfile", str(own_certificates / "ca.pem"), "-verify_return_error"]
    trusting += ["-verify_hostname", "localhost"]
    async with serving(*words, loop=loop) as server:
        for asked, shown in (
            (("-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384"), "RSA-PSS"),
            (("-tls1_2", "-cipher", "ECDHE+AESGCM"), "ECDSA"),
            (("-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"), "RSA-PSS"),
            (("-tls1_3", "-sigalgs", "ecdsa_secp256r1_sha256"), "ECDSA"),
            (("-tls1_3",), "ECDSA"),
        ):
            status, said = await openssl(server.ports[0], *trusting, *asked)
            assert (status, f"Signature type: {shown}" in said) == (0, True), said


def hello(*words: str, **variables: str) -> bytes:
    """What a client in a process of its own sends first."""
    ended = subprocess.run(
        [sys.executable, "-c", HELLO, *words],
        env=os.environ | variables,
        check=True,
        capture_output=True,
        text=True,
    )
    return bytes.fromhex(ended.stdout)


def offered(message: bytes, extension: int) -> tuple[str, ...]:
    """An extension's list of two-byte numbers, in hexadecimal (RFC 8446 sections 4.2.3, 4.2.7)."""
    for at in range(60, len(message)):
        number, length, listed = struct.unpack_from("!HHH", message, at)
        if number == extension and length == listed + 2:  # the extension's, and the list's
            return tuple(message[at + 6 + i : at + 8 + i].hex() for i in range(0, listed, 2))
    raise AssertionError(message.hex())


GROUPS, SIGNATURES = 10, 13
OURS = {"001d", "0017", "0018", "11ec"}
"""X25519, P-256, P-384 and X25519MLKEM768, which OpenSSL has from 3.5 on."""


def test_a_process_of_netkit_offers_our_groups() -> None:
    found = offered(hello("own"), GROUPS)
    assert OURS - set(found) <= {"11ec"}
    assert set(found) <= OURS
    assert ("11ec" in found) == (ssl.OPENSSL_VERSION_INFO >= (3, 5))


@pytest.mark.skipif(hasattr(ssl.SSLContext, "set_groups"), reason="Python can tell a context")
def test_a_library_leaves_its_process_alone(tmp_path: Path) -> None:
    assert "001e" in offered(hello(), GROUPS)
    # So does netkit's own, where an administrator has chosen.
    policy = tmp_path / "openssl.cnf"
    policy.write_text(
        "openssl_conf = openssl_init\n[openssl_init]\nssl_conf = ssl_sect\n"
        "[ssl_sect]\nsystem_default = chosen\n[chosen]\nGroups = P-521:P-256\n"
    )
    assert offered(hello("own", OPENSSL_CONF=str(policy)), GROUPS) == ("0019", "0017")
    # And what else is said of TLS holds beside our groups.
    policy.write_text(
        "openssl_conf = openssl_init\n[openssl_init]\nssl_conf = ssl_sect\n"
        "[ssl_sect]\nsystem_default = system_default_sect\n"
        "[system_default_sect]\nSignatureAlgorithms = ECDSA+SHA384\n"
    )
    message = hello("own", OPENSSL_CONF=str(policy))
    assert set(offered(message, GROUPS)) <= OURS
    assert offered(message, SIGNATURES) == ("0503",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# .include fipsmodule.cnf\nopenssl_conf = openssl_init\n[openssl_init]\n", False),
        ("ssl_conf = ssl_sect\n[ssl_sect]\nsystem_default = system_default_sect\n", False),
        ("[x]\n Groups = P-256\n", True),
        ("[x]\nCurves=P-256\n", True),
        ("  .include /etc/crypto-policies/back-ends/opensslcnf.config\n", True),
        ("openssl_conf = default_conf\n", True),
        ("ssl_conf = ssl_module\n", True),
        ("system_default = crypto_policy\n", True),
    ],
)
def test_which_files_have_a_policy(text: str, expected: bool, tmp_path: Path) -> None:
    file = tmp_path / "openssl.cnf"
    assert not groups.has_a_policy(file)
    file.write_text(text)
    assert groups.has_a_policy(file) == expected


def test_lists_for_each_version() -> None:
    assert groups.groups((3, 0, 19)) == "X25519:P-256:P-384"
    assert groups.groups((3, 5, 0)).startswith("?*X25519MLKEM768")
