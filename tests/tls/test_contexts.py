"""Server and client contexts, by handshakes in memory."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from netkit.certificates.develop import Development, development
from netkit.certificates.issuing import Issued, issue
from netkit.errors import CertificateError, UsageError
from netkit.tls import ServerTLS, TLSOptions, client_context
from tests.handshakes import handshake, local, pem, served


def test_speaks_tls_1_3_and_trusts_the_development_ca() -> None:
    ours, theirs = handshake(local(alpn=("irc", "x")).context, client_context(alpn=("x", "irc")))
    assert (ours.error, theirs.error) == (None, None)
    assert theirs.tls.version() == "TLSv1.3"
    assert theirs.tls.selected_alpn_protocol() == "irc"
    assert theirs.tls.compression() is None


def test_tls_1_2_has_forward_secrecy_and_authenticated_encryption_only() -> None:
    server, client = local().context, client_context()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    _, theirs = handshake(server, client)
    assert theirs.tls.version() == "TLSv1.2"
    suites = [suite for suite in server.get_ciphers() if suite["protocol"] == "TLSv1.2"]
    assert suites
    assert all(suite["aead"] and "ECDHE" in suite["name"] for suite in suites)


def test_older_versions_and_a_higher_minimum_are_refused() -> None:
    assert local().context.minimum_version == ssl.TLSVersion.TLSv1_2
    client = client_context()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    ours, _ = handshake(local(minimum="1.3").context, client)
    assert isinstance(ours.error, ssl.SSLError)
    with pytest.raises(UsageError, match=r"use 1\.2 or 1\.3"):
        local(minimum="1.1")


@pytest.mark.parametrize("alpn", ["", "x" * 256, "é"])
def test_bad_alpn_is_one_line(alpn: str) -> None:
    with pytest.raises(UsageError, match="1 to 255 ASCII"):
        local(alpn=(alpn,))


def test_keys_are_logged_where_sslkeylogfile_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "server"))
    server = local().context
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "client"))
    client = client_context()
    monkeypatch.delenv("SSLKEYLOGFILE")
    handshake(server, client)
    for name in ("server", "client"):
        assert "CLIENT_HANDSHAKE_TRAFFIC_SECRET" in (tmp_path / name).read_text()
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "no/such"))
    with pytest.raises(CertificateError, match="SSLKEYLOGFILE="):
        client_context()


def test_pair_is_chosen_by_host_name() -> None:
    made, wild, exact = development(), issue(["*.shop.test"]), issue(["a.shop.test"])
    pairs = ((made.cert, made.key), (wild.cert, wild.key), (exact.cert, exact.key))
    context = ServerTLS(TLSOptions(certs=pairs, alpn=("irc",))).context
    expected: dict[str, Development | Issued] = {
        "localhost": made, "127.0.0.1": made, "unknown.test": made, "shop.test": made,
        "b.shop.test": wild, "B.SHOP.TEST": wild, "c.b.shop.test": made, "a.shop.test": exact,
    }  # fmt: skip
    assert {host: served(context, host) for host in expected} == {
        host: pem(files.cert) for host, files in expected.items()
    }
    _, theirs = handshake(context, client_context(alpn=("irc",)), "a.shop.test")
    assert theirs.error is None
    assert theirs.tls.selected_alpn_protocol() == "irc"


def test_server_and_client_certificates_are_not_interchangeable(own_certificates: Path) -> None:
    made = development()
    ours, _ = handshake(
        local(client_ca=made.ca).context, client_context(cert=made.cert, key=made.key)
    )
    assert isinstance(ours.error, ssl.SSLCertVerificationError)


def test_client_trusts_only_what_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, other = local().context, development(tmp_path / "other")
    _, theirs = handshake(server, client_context(ca_certs=other.ca))
    assert isinstance(theirs.error, ssl.SSLCertVerificationError)
    _, theirs = handshake(server, client_context(ca_certs=development().ca))
    assert theirs.error is None
    ca = development().ca
    monkeypatch.setenv("NETKIT_CERTS", str(tmp_path / "empty"))
    _, theirs = handshake(server, client_context())
    assert isinstance(theirs.error, ssl.SSLCertVerificationError)
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    _, theirs = handshake(server, client_context())
    assert theirs.error is None
    assert not (tmp_path / "empty").exists()


def test_insecure_client_accepts_any_name() -> None:
    _, theirs = handshake(local().context, client_context(insecure=True), "example.com")
    assert theirs.error is None
