"""Clients that we did not write: openssl, curl, and Python's own for mail."""

from __future__ import annotations

import asyncio
import imaplib
import poplib
import smtplib
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from netkit.starttls import Name
from tests.peers import peer
from tests.starttls.playing import NAMES, Heard, port, serving


class Mail:
    """As much of each protocol as its clients need under TLS; `said` is what they said there."""

    def __init__(self, name: Name) -> None:
        self.answer = {"smtp": smtp, "imap": imap, "pop3": pop3, "irc": irc}[name]
        self.said: list[bytes] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.said.append(line)
            writer.write(self.answer(line.strip()))


def smtp(line: bytes) -> bytes:
    return b"221 bye\r\n" if line.upper() == b"QUIT" else b"250 fine\r\n"


def imap(line: bytes) -> bytes:
    tag, _, command = line.partition(b" ")
    untagged = {b"CAPABILITY": b"* CAPABILITY IMAP4rev1\r\n", b"LOGOUT": b"* BYE bye\r\n"}
    return untagged.get(command.upper(), b"") + tag + b" OK fine\r\n"


def pop3(line: bytes) -> bytes:
    return b"+OK\r\n.\r\n" if line.upper() in (b"CAPA", b"LIST") else b"+OK fine\r\n"


def irc(line: bytes) -> bytes:
    return b"PONG " + line + b"\r\n"


def with_smtplib(port: int, context: ssl.SSLContext) -> None:
    with smtplib.SMTP("localhost", port) as client:
        assert client.mail("a@b.test") == (530, b"Must issue a STARTTLS command first")
        client.ehlo()
        assert client.has_extn("starttls")
        client.starttls(context=context)
        assert client.ehlo()[0] == 250
        assert not client.has_extn("starttls")
        assert client.noop() == (250, b"fine")


def with_imaplib(port: int, context: ssl.SSLContext) -> None:
    with imaplib.IMAP4("localhost", port) as client:
        with pytest.raises(imaplib.IMAP4.error, match="STARTTLS first"):
            client.login("me", "secret")
        assert "LOGINDISABLED" in client.capabilities
        client.starttls(ssl_context=context)
        assert client.capabilities == ("IMAP4REV1",)
        assert client.noop()[0] == "OK"


def with_poplib(port: int, context: ssl.SSLContext) -> None:
    client = poplib.POP3("localhost", port)
    with pytest.raises(poplib.error_proto, match="STLS first"):
        client.user("me")
    client.stls(context=context)
    assert client.noop() == b"+OK fine"
    client.quit()


@pytest.mark.parametrize(
    ("name", "talk"), [("smtp", with_smtplib), ("imap", with_imaplib), ("pop3", with_poplib)]
)
async def test_the_standard_library(
    name: Name, talk: Callable[[int, ssl.SSLContext], None], own_certificates: Path
) -> None:
    mail = Mail(name)
    async with serving(name, mail.handle) as server:
        context = ssl.create_default_context(cafile=own_certificates / "ca.pem")
        await asyncio.to_thread(talk, port(server), context)
    assert any(b"NOOP" in line.upper() for line in mail.said)


def run(*command: str | Path, said: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, input=said, capture_output=True, check=False, timeout=60)


@pytest.mark.parametrize("name", NAMES)
async def test_openssl(name: Name, own_certificates: Path) -> None:
    openssl, heard = peer("openssl"), Heard()
    async with serving(name, heard.handle) as server:
        done = await asyncio.to_thread(
            run, openssl, "s_client", "-starttls", name, "-connect", f"localhost:{port(server)}",
            "-CAfile", own_certificates / "ca.pem", "-verify_return_error", "-brief",
            said=b"hello\n",
        )  # fmt: skip
        await server.connections.emptied()
    assert done.returncode == 0, done.stderr
    assert b"Verification: OK" in done.stderr
    assert b"Protocol version: TLSv1.3" in done.stderr
    assert heard.said == [b"hello\n"]


@pytest.mark.parametrize("name", ["smtp", "imap", "pop3"])
async def test_curl(name: Name, own_certificates: Path) -> None:
    curl, mail = peer("curl"), Mail(name)
    async with serving(name, mail.handle) as server:
        done = await asyncio.to_thread(
            run, curl, "-sS", "-v", "--ssl-reqd", "--cacert", own_certificates / "ca.pem",
            f"{name}://localhost:{port(server)}/",
        )  # fmt: skip
        await server.connections.emptied()
    assert done.returncode == 0, done.stderr
    assert b"SSL certificate verify ok" in done.stderr
    expected = {"smtp": b"EHLO", "imap": b"CAPABILITY", "pop3": b"CAPA"}[name]
    assert expected in mail.said[0]


async def test_curl_delivers_mail(own_certificates: Path, tmp_path: Path) -> None:
    """With a server behind us that takes it."""
    curl, received = peer("curl"), []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if line.startswith(b"DATA"):
                writer.write(b"354 go on\r\n")
                received.append(await reader.readuntil(b"\r\n.\r\n"))
                writer.write(b"250 taken\r\n")
            else:
                writer.write(smtp(line.strip()))

    letter = tmp_path / "letter"
    letter.write_bytes(b"Subject: hello\r\n\r\n" + b"hello\r\n" * 5_000)
    async with serving("smtp", handle) as server:
        done = await asyncio.to_thread(
            run, curl, "-sS", "--ssl-reqd", "--cacert", own_certificates / "ca.pem",
            f"smtp://localhost:{port(server)}", "--mail-from", "a@b.test", "--mail-rcpt",
            "c@d.test", "--upload-file", letter,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert received == [letter.read_bytes() + b".\r\n"]
