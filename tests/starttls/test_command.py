"""``netkit serve … --starttls`` as a process."""

from __future__ import annotations

import asyncio
import signal
import smtplib
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.commands import netkit
from tests.runtime.process import COMMAND, LOOPS, serving


def talk(port: int, trusted: Path) -> tuple[int, bytes]:
    context = ssl.create_default_context(cafile=trusted)
    client = smtplib.SMTP("localhost", port)
    client.starttls(context=context)
    said = client.docmd("220 hello")  # echo sends it back
    client.close()
    return said


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("loop", LOOPS)
def test_echo(loop: str, workers: str, own_certificates: Path) -> None:
    async def main() -> None:
        flags = ("--tls", "--starttls", "smtp", "--workers", workers)
        async with serving("echo", "--bind", "tls://127.0.0.1:0", *flags, loop=loop) as server:
            (port,) = server.ports
            said = await asyncio.to_thread(talk, port, own_certificates / "ca.pem")
            assert said == (220, b"hello")
            assert f"try: openssl s_client -quiet -starttls smtp -connect 127.0.0.1:{port}" in (
                server.log
            )
            assert await server.stop() == -signal.SIGTERM

    asyncio.run(main())


def test_without_tls() -> None:
    done = netkit("serve", "qotd", "--bind", "tcp://127.0.0.1:0", "--starttls", "imap")
    assert done.status == 2
    assert "--starttls imap: no listener here has TLS; add --tls" in done.errors


def test_a_protocol_that_is_not_there() -> None:
    done = netkit("serve", "qotd", "--tls", "--starttls", "ftp")
    assert done.status == 2
    assert "'ftp' is not one of" in done.errors


def test_it_is_a_setting_like_others() -> None:
    command = [*COMMAND, "serve", "qotd", "--tls", "--starttls", "pop3", "--dump-config"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert 'starttls = "pop3"' in done.stdout
