"""`netkit serve tls` as a person starts it: alone it is TLS, on its own port, on both loops."""

from __future__ import annotations

from pathlib import Path

import pytest

from netkit.certificates.develop import development
from netkit.options import TLS, Binding
from netkit.servers.tls import Tls
from tests.commands import netkit
from tests.runtime.process import LOOPS, serving
from tests.tlsserver.callers import call, curl_json, openssl


@pytest.mark.parametrize("loop", LOOPS)
async def test_one_command_serves_tls(loop: str) -> None:
    async with serving("tls", "--port", 0, loop=loop) as server:
        assert server.urls[0].startswith("tls://127.0.0.1:")
        port = server.ports[0]
        found = await curl_json(port)
        assert (found["version"], found["alpn"]) == ("TLSv1.3", "http/1.1")
        told = await openssl(port, "-servername", "<b>", given=b"\n")
        assert told.row("server name") == "<b>"
        again = await openssl(port, "-groups", "P-521:P-256", given=b"\n")
        assert again.row("key exchange").startswith("secp256r1 (the server had to ask for it")
        file = development().ca
        page = await call(
            *("curl", "-sS", "--cacert", file, "-H", "Accept: text/html"),
            f"https://localhost:{port}/",
        )
        assert page.output.startswith("<!doctype html>")
        assert await server.stop() == -15
    assert not server.complaints()


async def test_several_workers(tmp_path: Path) -> None:
    async with serving("tls", "--port", 0, "--workers", 2, loop="auto") as server:
        for _ in range(4):
            assert (await curl_json(server.ports[0]))["version"] == "TLSv1.3"
        assert await server.stop() == -15


def test_its_usual_port_is_tls() -> None:
    service = Tls()
    tls = TLS().of(service)
    assert (tls.wanted, tls.ssl_alpn) == (True, ("http/1.1",))
    assert [str(each) for each in Binding().addresses(service, tls.wanted)] == [
        "tls://127.0.0.1:8443"
    ]


def test_protocols_that_are_named_replace_its_own() -> None:
    assert TLS(ssl_alpn=("irc",)).of(Tls()).ssl_alpn == ("irc",)


def test_systemd_units_know_that_it_is_tls() -> None:
    said = netkit("systemd", "tls")
    assert said.status == 0, said.errors
    assert "8443" in said.output or "tls" in said.output


def test_client_certificates_need_no_further_flag(tmp_path: Path) -> None:
    said = netkit("serve", "tls", "--port", 0, "--ssl-ca-certs", tmp_path / "none.pem")
    assert said.status == 2
    assert f"--ssl-ca-certs {tmp_path / 'none.pem'}" in said.errors
