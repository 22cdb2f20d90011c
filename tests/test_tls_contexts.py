"""Server and client contexts, by handshakes in memory."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from netkit.certificates import Development, Issued, authority, development, issue, names
from netkit.errors import CertificateError, UsageError
from netkit.tls import ServerTLS, TLSOptions, client_context


@dataclass
class Side:
    """One end of a handshake without sockets."""

    tls: ssl.SSLObject
    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    error: Exception | None = field(default=None)

    def step(self, action: Callable[[], object]) -> None:
        if self.error is None:
            try:
                action()
            except ssl.SSLWantReadError:
                pass
            except Exception as error:  # each test says which one it expects
                self.error = error


def side(context: ssl.SSLContext, host: str | None = None) -> Side:
    bios = ssl.MemoryBIO(), ssl.MemoryBIO()
    return Side(context.wrap_bio(*bios, server_side=host is None, server_hostname=host), *bios)


def handshake(
    server: ssl.SSLContext, client: ssl.SSLContext, host: str = "localhost"
) -> tuple[Side, Side]:
    """Shake hands to the end or to both sides' errors; then read once, for TLS 1.3's alerts."""
    ours, theirs = side(server), side(client, host)
    for _ in range(6):
        for one, other in ((theirs, ours), (ours, theirs)):
            one.step(one.tls.do_handshake)
            other.incoming.write(one.outgoing.read())
    theirs.step(lambda: theirs.tls.read(1))
    return ours, theirs


def served(context: ssl.SSLContext, host: str = "localhost") -> x509.Certificate:
    """Return the certificate that a client asking for this host gets."""
    _, theirs = handshake(context, client_context(insecure=True), host)
    der = theirs.tls.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der)


def pem(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def local(**options: object) -> ServerTLS:
    made = development()
    return ServerTLS(TLSOptions(certs=((made.cert, made.key),), **options))  # type: ignore[arg-type]  # mixed types


def put(path: Path, content: bytes) -> None:
    """Replace a file as certificate tools do: another inode, so that it counts as changed."""
    draft = path.with_suffix(".new")
    draft.write_bytes(content)
    draft.replace(path)


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


def test_replaced_pair_serves_new_handshakes() -> None:
    tls, made, new = local(), development(), issue(["localhost"])
    context, before = tls.context, served(tls.context)
    assert tls.reload_if_changed() == []
    put(made.key, new.key.read_bytes())
    put(made.cert, new.cert.read_bytes())
    lines = tls.reload_if_changed()
    assert len(lines) == 1
    assert "now serving" in lines[0]
    assert tls.context is context
    assert served(context) == pem(new.cert) != before
    assert tls.reload_if_changed() == []


def test_half_replaced_pair_keeps_the_old_one_and_is_told_once() -> None:
    tls, made, new = local(), development(), issue(["localhost"])
    before = served(tls.context)
    put(made.key, new.key.read_bytes())
    with pytest.raises(CertificateError, match="does not belong"):
        tls.reload_if_changed()
    assert tls.reload_if_changed() == []
    assert served(tls.context) == before
    made.key.unlink()
    with pytest.raises(CertificateError, match="no such file"):
        tls.reload_if_changed()
    put(made.key, new.key.read_bytes())
    put(made.cert, new.cert.read_bytes())
    assert len(tls.reload_if_changed()) == 1
    assert served(tls.context) == pem(new.cert)


def test_one_file_after_the_other_is_no_complaint_to_the_patient() -> None:
    tls, made, new = local(), development(), issue(["localhost"])
    before = served(tls.context)
    put(made.key, new.key.read_bytes())
    assert tls.reload_if_changed(patient=True) == []
    assert served(tls.context) == before
    put(made.cert, new.cert.read_bytes())
    assert len(tls.reload_if_changed(patient=True)) == 1
    assert served(tls.context) == pem(new.cert)
    put(made.cert, b"broken")
    assert tls.reload_if_changed(patient=True) == []
    with pytest.raises(CertificateError, match="no readable PEM"):
        tls.reload_if_changed(patient=True)
    assert tls.reload_if_changed(patient=True) == []


def test_one_bad_pair_does_not_hold_up_another() -> None:
    made, shop, new = development(), issue(["shop.test"]), issue(["*.shop.test", "shop.test"])
    tls = ServerTLS(TLSOptions(certs=((made.cert, made.key), (shop.cert, shop.key))))
    before = served(tls.context)
    made.cert.write_bytes(b"broken")
    put(shop.key, new.key.read_bytes())
    put(shop.cert, new.cert.read_bytes())
    with pytest.raises(CertificateError, match=r"localhost\.pem"):
        tls.reload_if_changed()
    assert served(tls.context) == before
    assert served(tls.context, "shop.test") == pem(new.cert)
    assert served(tls.context, "b.shop.test") == pem(new.cert)


def test_other_kind_of_key_replaces_the_old_one_for_everybody(own_certificates: Path) -> None:
    cert, key = rsa_pair(own_certificates)
    tls, made = ServerTLS(TLSOptions(certs=((cert, key),))), development()
    put(key, made.key.read_bytes())
    put(cert, made.cert.read_bytes())
    tls.reload_if_changed()
    client = client_context(insecure=True)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers("aRSA+ECDHE")
    ours, _ = handshake(tls.context, client)
    assert isinstance(ours.error, ssl.SSLError)
    assert served(tls.context) == pem(made.cert)


def rsa_pair(where: Path) -> tuple[Path, Path]:
    development()
    key = rsa.generate_private_key(65537, 2048)
    ca = authority.authority(where)
    leaf = authority.sign(ca, key, "localhost", [names.parse("localhost")])  # type: ignore[arg-type]  # RSA
    (where / "rsa.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (where / "rsa-key.pem").write_bytes(text)
    return where / "rsa.pem", where / "rsa-key.pem"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_client_certificates_and_replaced_client_ca(
    tmp_path: Path, own_certificates: Path, version: ssl.TLSVersion
) -> None:
    other = development(tmp_path / "other")
    ca = tmp_path / "clients.pem"
    ca.write_bytes(development().ca.read_bytes())
    tls = local(client_ca=ca)
    alice = issue(["alice"], client=True)
    mallory = issue(["mallory"], client=True, folder=tmp_path / "other")

    def enters(client: ssl.SSLContext) -> bool:
        client.maximum_version = version
        ours, _ = handshake(tls.context, client)
        return ours.error is None

    first = client_context(cert=alice.cert, key=alice.key)
    second = client_context(cert=mallory.cert, key=mallory.key)
    assert [enters(c) for c in (first, second, client_context())] == [True, False, False]
    put(ca, b"broken")
    with pytest.raises(CertificateError, match="--ssl-ca-certs"):
        tls.reload_if_changed()
    assert [enters(c) for c in (first, second)] == [True, False]
    put(ca, other.ca.read_bytes())
    assert tls.reload_if_changed() == [f"{ca}: clients are now verified with the new CAs"]
    assert [enters(c) for c in (first, second, client_context())] == [False, True, False]


def test_files_are_renewed_before_they_expire(
    own_certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = development()
    renewed = []

    def renew() -> None:
        renewed.append(1)
        monkeypatch.setattr("netkit.certificates.develop.RENEW_BEFORE", timedelta(days=3650))
        development()

    tls = ServerTLS(TLSOptions(certs=((made.cert, made.key),), renew=renew))
    assert tls.reload_if_changed() == []
    assert not renewed
    monkeypatch.setattr("netkit.tls.server.RENEW_EVERY", -1.0)
    tls = ServerTLS(TLSOptions(certs=((made.cert, made.key),), renew=renew))
    assert tls.reload_if_changed()[0].startswith(f"{made.cert}: now serving the new certificate")
    assert renewed == [1]


def test_server_and_client_certificates_are_not_interchangeable(own_certificates: Path) -> None:
    made = development()
    ours, _ = handshake(
        local(client_ca=made.ca).context, client_context(cert=made.cert, key=made.key)
    )
    assert isinstance(ours.error, ssl.SSLCertVerificationError)


def encrypted(path: Path) -> Path:
    key = authority.new_key()
    lock = BestAvailableEncryption(b"secret")
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock))
    return path


@pytest.mark.parametrize(
    ("cert", "key", "said"),
    [
        ("absent", None, r"--ssl-certfile .*absent: there is no such file"),
        ("good", "absent", r"--ssl-keyfile .*absent: there is no such file"),
        ("junk", None, r"--ssl-certfile .*junk: holds no readable PEM certificate"),
        ("good", "junk", r"--ssl-keyfile .*junk: holds no PEM private key"),
        ("good", None, r"--ssl-certfile .*good: holds no PEM private key; .* --ssl-keyfile"),
        ("good", "other", r"--ssl-keyfile .*other: this key does not belong"),
        ("good", "rsa-key.pem", r"--ssl-keyfile .*rsa-key.pem: this key does not belong"),
        ("good", "encrypted", r"--ssl-keyfile .*encrypted: the key is encrypted and no password"),
        ("expired", "key", r"--ssl-certfile .*expired: expired on \d{4}-\d\d-\d\d .*; renew it"),
        ("good", "folder", r"--ssl-keyfile .*folder: cannot be read"),
    ],
)
def test_bad_files_are_one_line(
    own_certificates: Path, cert: str, key: str | None, said: str
) -> None:
    made, at = development(), own_certificates
    ca = authority.authority(at)
    (at / "good").write_bytes(made.cert.read_bytes())
    (at / "key").write_bytes(made.key.read_bytes())
    (at / "junk").write_text("junk")
    (at / "folder").mkdir()
    (at / "other").write_bytes(authority.key_pem(authority.new_key()))
    rsa_pair(at)
    encrypted(at / "encrypted")
    old = authority.sign(ca, authority.new_key(), "old", [names.parse("localhost")], days=0)
    (at / "expired").write_bytes(old.public_bytes(Encoding.PEM))
    with pytest.raises(CertificateError, match=said) as caught:
        ServerTLS(TLSOptions(certs=((at / cert, at / key if key else None),)))
    assert "\n" not in str(caught.value)


def test_no_pair_and_bad_client_ca_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--ssl-certfile"):
        ServerTLS(TLSOptions(certs=()))
    with pytest.raises(CertificateError, match=r"--ssl-ca-certs .*absent: there is no such file"):
        local(client_ca=tmp_path / "absent")


@pytest.mark.parametrize("password", ["secret", lambda: "secret"])
def test_encrypted_key_with_its_password(
    own_certificates: Path, password: str | Callable[[], str]
) -> None:
    development()
    ca, key = authority.authority(own_certificates), authority.new_key()
    leaf = authority.sign(ca, key, "localhost", [names.parse("localhost")])
    lock = BestAvailableEncryption(b"secret")
    both = own_certificates / "both.pem"
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)
    both.write_bytes(leaf.public_bytes(Encoding.PEM) + text)
    tls = ServerTLS(TLSOptions(certs=((both, None),), password=password))
    assert served(tls.context) == leaf
    with pytest.raises(CertificateError, match="cannot be decrypted; check the password"):
        ServerTLS(TLSOptions(certs=((both, None),), password="wrong"))


def test_key_that_everyone_can_read_is_a_warning() -> None:
    assert local().warnings == []
    made = development()
    made.key.chmod(0o644)
    (line,) = local().warnings
    assert "chmod 600" in line
    assert str(made.key) in line


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


def test_clients_bad_files_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "junk").write_text("junk")
    with pytest.raises(CertificateError, match=r"--ca-certs .*absent: there is no such file"):
        client_context(ca_certs=tmp_path / "absent")
    with pytest.raises(CertificateError, match=r"--ca-certs .*junk: holds no readable PEM"):
        client_context(ca_certs=tmp_path / "junk")
    with pytest.raises(CertificateError, match=r"--cert .*junk: .*your certificate first"):
        client_context(cert=tmp_path / "junk")
    with pytest.raises(UsageError, match="give it with --cert"):
        client_context(key=tmp_path / "junk")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "absent"))
    with pytest.raises(CertificateError, match="SSL_CERT_FILE="):
        client_context()
