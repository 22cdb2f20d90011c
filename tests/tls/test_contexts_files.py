"""Files that a context cannot be made from, and what is allowed but unwise: one line each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from netkit.certificates import authority, names
from netkit.certificates.develop import development
from netkit.errors import CertificateError, UsageError
from netkit.tls import ServerTLS, TLSOptions, client_context
from tests.handshakes import local, rsa_pair, served


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
