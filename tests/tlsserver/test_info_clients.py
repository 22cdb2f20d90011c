"""What was negotiated, told to clients that we did not write, with verification on."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import urllib.request
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

import pytest

from netkit.certificates.develop import development
from netkit.certificates.issuing import issue
from netkit.tls import client_context
from tests.peers import peer
from tests.tlsserver.callers import call, curl, curl_json, openssl, telling


async def test_openssl_that_says_nothing_is_told_in_text() -> None:
    async with telling() as port:
        called = await openssl(port, "-servername", "localhost", "-alpn", "irc")
    assert called.status == 0, called.output
    assert "You are connected with TLS 1.3, TLS_" in called.output
    assert called.row("version") == "TLS 1.3"
    assert called.row("server name") == "localhost"
    assert called.row("ALPN") == "no protocol was agreed on"
    assert called.row("session") == "new"
    assert called.row("ALPN", "Its offer") == "irc"
    assert called.row("certificate", "Your certificate").startswith("none was asked for")


async def test_openssl_that_says_a_line_is_told_at_once() -> None:
    async with telling() as port:
        called = await openssl(port, "-noservername", "-tls1_2", given=b"hello\n")
    assert called.status == 0, called.output
    assert called.row("version") == "TLS 1.2"
    assert called.row("server name") == "none was asked for (SNI)"
    assert called.row("versions", "Its offer") == "TLS 1.2"


async def test_openssl_speaks_http_by_hand() -> None:
    given = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with telling() as port:
        called = await openssl(port, "-alpn", "http/1.1", given=given)
    assert "HTTP/1.1 200 OK" in called.output
    assert called.row("ALPN") == "http/1.1"


TEMP_KEYS = {
    "X25519": "x25519",
    "ECDH, prime256v1": "secp256r1",
    "ECDH, secp384r1": "secp384r1",
}
"""How s_client calls the groups."""


# P-256 is always among them: TLS 1.2 needs it for the certificate's own key.
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("groups", ["P-256", "P-256:X25519", "P-384:P-256", "X25519:P-256"])
async def test_openssl_agrees_on_the_group(version: str, groups: str) -> None:
    request = b"GET /json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with telling() as port:
        called = await call(
            *("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", development().ca),
            *("-alpn", "http/1.1", "-ign_eof", version, "-groups", groups),
            given=request,
        )
    found = json.loads(called.output.partition("close\r\n\r\n")[2].partition("\n}\n")[0] + "}")
    theirs = re.search(r"(?:Server|Peer) Temp Key: (.*), \d+ bits", called.output, re.IGNORECASE)
    assert theirs, called.output
    assert found["group"] == {"name": TEMP_KEYS[theirs[1]], "why": ""}


@pytest.mark.parametrize(
    ("version", "how"),
    [("-tls1_2", "session ticket (TLS 1.2)"), ("-tls1_3", "pre-shared key (TLS 1.3)")],
)
async def test_openssl_resumes(version: str, how: str, tmp_path: Path) -> None:
    file = tmp_path / "session"
    async with telling() as port:
        first = await openssl(port, version, "-sess_out", file, given=b"\n")
        second = await openssl(port, version, "-sess_in", file, given=b"\n")
    assert first.row("session") == "new"
    assert first.row("would resume", "Your client") == "nothing"
    assert second.row("session") == "resumed from an earlier one"
    assert second.row("would resume", "Your client") == how
    if version == "-tls1_2":
        assert second.row("key exchange").startswith("none: the keys come from the earlier")


async def test_curl_gets_text_json_or_a_page() -> None:
    async with telling() as port:
        text = await curl(port)
        json_by_accept = await curl_json(port)
        json_by_path = json.loads((await curl(port, path="/json")).output)
        json_by_query = json.loads((await curl(port, path="/?format=json")).output)
        page = await curl(port, "-H", "Accept: text/html,application/xhtml+xml,*/*;q=0.8")
    assert text.status == 0
    assert text.row("ALPN") == "http/1.1"
    assert json_by_accept["version"] == "TLSv1.3"
    assert json_by_accept["server_name"] == "localhost"
    for each in (json_by_path, json_by_query):
        assert each["offer"]["ja4"] == json_by_accept["offer"]["ja4"]
        assert each["offer"]["ja4"] in text.output
    assert page.output.startswith("<!doctype html>")
    assert json_by_accept["offer"]["ja4"] in page.output


async def test_curl_with_tls_1_2_and_a_suite_of_its_choice() -> None:
    suite = "ECDHE-ECDSA-CHACHA20-POLY1305"
    async with telling() as port:
        found = await curl_json(port, "--tls-max", "1.2", "--ciphers", suite)
    assert (found["version"], found["cipher"], found["bits"]) == ("TLSv1.2", suite, 256)
    names = ["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "TLS_EMPTY_RENEGOTIATION_INFO_SCSV"]
    assert found["offer"]["cipher_suites"] == names


async def test_a_client_certificate_is_explained() -> None:
    alice, made = issue(["alice@example.org"], client=True), development()
    shown = ("--cert", alice.cert, "--key", alice.key)
    async with telling(tls=True, ssl_ca_certs=made.ca) as port:
        found = await curl_json(port, *shown)
        text = await openssl(port, "-cert", alice.cert, "-key", alice.key, given=b"\n")
        nobody = await curl(port)
    chain = found["certificate"]["chain"]
    assert chain[0]["names"] == ["alice@example.org"]
    assert "TLS client" in chain[0]["uses"]
    assert f"signed by {chain[0]['issuer']}, which --ssl-ca-certs trusts" in text.row(
        "trusted", "Your certificate"
    )
    if hasattr(ssl.SSLSocket, "get_verified_chain"):  # Python 3.13
        assert [each["is_ca"] for each in chain] == [False, True]
        assert text.row("subject", "Its issuer 1") == chain[0]["issuer"]
    assert text.row("names", "Your certificate") == "alice@example.org"
    assert nobody.status != 0


async def test_ncat_that_says_nothing() -> None:
    async with telling() as port:
        called = await call("ncat", "--ssl", "--recv-only", "127.0.0.1", str(port))
    assert called.status == 0
    assert called.row("version") == "TLS 1.3"


async def test_ncat_that_says_a_line() -> None:
    async with telling() as port:
        process = await asyncio.create_subprocess_exec(
            *(peer("ncat"), "--ssl", "127.0.0.1", str(port)), stdin=PIPE, stdout=PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"hello\n")
        said = await process.stdout.readuntil(b"Its offer")
        # Not before: it would end without close_notify, and nobody answers what was cut off.
        process.stdin.close()
        assert await process.stdout.read()
        assert await process.wait() == 0
    assert said.startswith(b"You are connected with TLS 1.3, TLS_")


NODE = """
const https = require('https'), fs = require('fs')
const [port, ca] = process.argv.slice(1)
https.get({host: 'localhost', port, ca: fs.readFileSync(ca), path: '/json'}, answer => {
  answer.setEncoding('utf8')
  answer.on('data', data => process.stdout.write(data))
})
"""


async def test_node() -> None:
    async with telling() as port:
        called = await call("node", "-e", NODE, str(port), development().ca)
    assert called.status == 0, called.output
    found = json.loads(called.output)
    assert (found["version"], found["server_name"]) == ("TLSv1.3", "localhost")


async def test_python() -> None:
    def get(url: str) -> dict[str, object]:
        asked = urllib.request.Request(url, headers={"Accept": "application/json"})
        with urllib.request.urlopen(asked, context=client_context(alpn=["http/1.1"])) as answer:
            found: dict[str, object] = json.load(answer)
            return found

    async with telling() as port:
        found = await asyncio.to_thread(get, f"https://localhost:{port}/")
    assert (found["version"], found["server_name"]) == ("TLSv1.3", "localhost")


async def test_chromium_shows_the_page(tmp_path: Path) -> None:
    nss = tmp_path / ".pki" / "nssdb"
    nss.mkdir(parents=True)
    made = development()
    command = (peer("certutil"), "-d", f"sql:{nss}")
    for words in (("-N", "--empty-password"), ("-A", "-n", "ca", "-t", "C,,", "-i", made.ca)):
        process = await asyncio.create_subprocess_exec(*command, *map(str, words))
        assert await process.wait() == 0
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
    async with telling() as port:
        process = await asyncio.create_subprocess_exec(
            *(peer("chromium"), *flags, f"--user-data-dir={tmp_path}/profile", "--dump-dom"),
            f"https://localhost:{port}/",
            stdout=PIPE,
            stderr=DEVNULL,
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        )
        said, _ = await process.communicate()
    page = said.decode()
    assert "You are connected with <b>TLS 1.3" in page
    assert "sent (RFC 8701)" in page  # Chromium greases
