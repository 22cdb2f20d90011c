"""servers/starttls.py: the same by ``loop.start_tls``."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import netkit
from netkit import Server
from netkit.servers.starttls import LONGEST, StartTLS
from tests.starttls.playing import Client, client, port


@asynccontextmanager
async def greeted(certificates: Path) -> AsyncIterator[tuple[Server, Client]]:
    async with (
        netkit.serve(StartTLS()) as server,
        client(server, certificates) as talking,
    ):
        assert await talking.line() == b"220 starttls.example ESMTP\r"
        yield server, talking


async def test_what_was_said_in_the_clear_is_forgotten(own_certificates: Path) -> None:
    async with greeted(own_certificates) as (_, talking):
        await talking.send(b"EHLO eve.test\r\n")
        assert await talking.line() == b"250-starttls.example\r"
        assert await talking.line() == b"250 STARTTLS\r"
        await talking.send(b"NOOP\r\n")
        assert await talking.line() == b"250 you are eve.test, over nothing\r"
        await talking.send(b"STARTTLS\r\n")
        assert await talking.line() == b"220 go ahead with TLS\r"
        await talking.secure()
        assert await talking.ask(b"NOOP\r\n") == b"250 you are nobody, over TLSv1.3\r\n"
        assert await talking.ask(b"EHLO me.test\r\n") == b"250 starttls.example\r\n"
        assert await talking.ask(b"NOOP\r\n") == b"250 you are me.test, over TLSv1.3\r\n"
        assert await talking.ask(b"STARTTLS\r\n") == b"503 this is TLS already\r\n"
        assert await talking.ask(b"QUIT\r\n") == b"221 until next time\r\n"


@pytest.mark.parametrize("injected", [b"NOOP\r\n", b"N", b"\r\n", b"\x16\x03\x01"])
async def test_what_follows_in_one_packet_is_refused(
    injected: bytes, own_certificates: Path
) -> None:
    """A hello too: `loop.start_tls` cannot be given bytes that have been read already."""
    async with greeted(own_certificates) as (_, talking):
        await talking.send(b"STARTTLS\r\n" + injected)
        said = await talking.rest()
        assert said == b"554 nothing may follow STARTTLS before the TLS handshake\r\n"


@pytest.mark.parametrize("injected", [b"NOOP\r\n", b"N", b"\x16\x03NOOP\r\n\r\n"])
async def test_what_follows_later_is_never_run(
    injected: bytes, own_certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with greeted(own_certificates) as (_, talking):
        await talking.send(b"STARTTLS\r\n")
        await talking.send(injected)
        with pytest.raises(ssl.SSLError):
            await talking.secure()
        assert b"250" not in talking.unread
    caplog.clear()  # asyncio reports the handshake that failed


async def test_the_first_words_come_with_the_end_of_the_handshake(own_certificates: Path) -> None:
    """Before `loop.start_tls` has returned."""
    async with greeted(own_certificates) as (_, talking):
        await talking.send(b"STARTTLS\r\n")
        await talking.line()
        await talking.send(talking.hello())
        shaken = False
        while not shaken:
            talking.incoming.write(await talking.receive())
            try:
                talking.tls.do_handshake()
                shaken = True
            except ssl.SSLWantReadError:
                pass
        talking.tls.write(b"NOOP\r\nEHLO me.test\r\nNOOP\r\nQUIT\r\n")
        await talking.send(talking.outgoing.read())  # our Finished and the lines
        said = b""
        while not said.endswith(b"221 until next time\r\n"):
            said += await talking.under_tls(lambda: talking.tls.read(1000))
        assert said.startswith(b"250 you are nobody, over TLSv1.3\r\n250 starttls.example\r\n")
        assert b"250 you are me.test, over TLSv1.3\r\n221 " in said


async def test_every_byte_by_itself(own_certificates: Path) -> None:
    async with greeted(own_certificates) as (_, talking):
        for byte in b"NOOP\r\nSTARTTLS\r\n":
            await talking.send(bytes([byte]))
        await talking.line()
        await talking.line()
        await talking.secure(send=1)
        assert await talking.ask(b"QUIT\r\n") == b"221 until next time\r\n"


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"x" * (LONGEST + 1), b"500 line too long"),
        (b"EHLO", b"500 EHLO, NOOP, STARTTLS and QUIT are all I know"),
        (b"\r\n", b"500 EHLO, NOOP, STARTTLS and QUIT are all I know"),
        (b"QUIT\r\nNOOP\r\n", b"221 until next time"),
    ],
)
async def test_the_rest(line: bytes, answer: bytes, own_certificates: Path) -> None:
    async with greeted(own_certificates) as (_, talking):
        await talking.send(line + b"\n")
        assert await talking.line() == answer + b"\r"


async def test_drain_during_the_handshake(own_certificates: Path) -> None:
    async with greeted(own_certificates) as (server, talking):
        await talking.send(b"STARTTLS\r\n")
        await talking.line()
        reading = asyncio.create_task(talking.rest())
        await server.stop(0)
        await reading


async def test_drain_under_tls(own_certificates: Path) -> None:
    async with greeted(own_certificates) as (server, talking):
        await talking.send(b"STARTTLS\r\n")
        await talking.line()
        await talking.secure()
        assert await talking.ask(b"NOOP\r\n") == b"250 you are nobody, over TLSv1.3\r\n"
        reading = asyncio.create_task(talking.rest())
        await server.stop(5)
        await reading


async def test_a_client_that_we_did_not_write(own_certificates: Path) -> None:
    def talk(port: int) -> None:
        context = ssl.create_default_context(cafile=own_certificates / "ca.pem")
        with smtplib.SMTP("localhost", port) as mail:
            mail.starttls(context=context)
            mail.ehlo("me.test")
            assert mail.noop() == (250, b"you are me.test, over TLSv1.3")

    async with netkit.serve(StartTLS()) as server:
        await asyncio.to_thread(talk, port(server))


async def test_a_certificate_of_ones_own(own_certificates: Path) -> None:
    netkit.TLS(tls=True).load()  # which makes one, here
    pair = own_certificates / "pair.pem"
    parts = ("localhost.pem", "localhost-key.pem")
    pair.write_bytes(b"".join((own_certificates / part).read_bytes() for part in parts))
    async with (
        netkit.serve(StartTLS(cert=pair)) as server,
        client(server, own_certificates) as talking,
    ):
        await talking.line()
        await talking.send(b"STARTTLS\r\n")
        await talking.line()
        await talking.secure()
        assert await talking.ask(b"QUIT\r\n") == b"221 until next time\r\n"
