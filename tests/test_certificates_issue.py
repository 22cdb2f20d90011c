"""Further certificates, what the CA may sign for, and the words for any certificate."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12
from cryptography.x509.oid import NameOID

from netkit.certificates import authority, names
from netkit.certificates.describe import describe
from netkit.certificates.develop import development
from netkit.certificates.issuing import issue
from netkit.errors import CertificateError
from tests.peers import peer


def openssl_verify(ca: Path, cert: Path, purpose: str) -> subprocess.CompletedProcess[str]:
    command = [peer("openssl"), "verify", "-x509_strict", "-purpose", purpose, "-CAfile"]
    return subprocess.run(
        [*command, str(ca), str(cert)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "name",
    [
        "localhost", "shop.localhost", "shop.test", "*.shop.test", "printer.local", "a.internal",
        "nas.home.arpa", "127.5.5.5", "::1", "10.1.2.3", "172.31.0.1", "192.168.0.9", "fd00::5",
        "169.254.1.1", "fe80::9", "SHOP.test.", "bücher.test",
    ],
)  # fmt: skip
def test_openssl_accepts_what_is_issued(own_certificates: Path, name: str) -> None:
    made = issue([name])
    checked = openssl_verify(own_certificates / "ca.pem", made.cert, "sslserver")
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("name", ["example.com", "nottest", "8.8.8.8", "172.32.0.1", "2001:db8::1"])
def test_public_name_is_refused_and_the_allowed_ones_told(name: str) -> None:
    with pytest.raises(CertificateError, match=r"may not sign .* localhost, test, local") as caught:
        issue(["shop.test", name])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "-x.test", "a..test", "x" * 64 + ".test", "a/b", "*"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(CertificateError, match="neither a host name nor an IP address"):
        issue([name])


@pytest.mark.parametrize("name", ["example.com", "8.8.8.8"])
def test_openssl_enforces_the_name_constraints(own_certificates: Path, name: str) -> None:
    made = development()
    ca, key = authority.authority(own_certificates), authority.new_key()
    leaf = authority.sign(ca, key, "evil", [names.parse(name)])
    path = own_certificates / "evil.pem"
    path.write_bytes(leaf.public_bytes(Encoding.PEM))
    checked = openssl_verify(made.ca, path, "sslserver")
    assert "permitted subtree violation" in checked.stderr


@pytest.mark.parametrize("name", ["alice", "Alice Smith", "alice@example.org", "bot.test", "Zoë"])
def test_client_certificate_verifies(own_certificates: Path, name: str) -> None:
    made = issue([name], client=True)
    checked = openssl_verify(own_certificates / "ca.pem", made.cert, "sslclient")
    assert checked.returncode == 0, checked.stderr
    assert openssl_verify(own_certificates / "ca.pem", made.cert, "sslserver").returncode != 0


@pytest.mark.parametrize("name", ["alice.smith", "10.1.2.3", "a..b"])
def test_client_name_that_openssl_would_take_for_a_host_is_refused(name: str) -> None:
    with pytest.raises(CertificateError, match="write it without dots"):
        issue([name], client=True)


@pytest.mark.parametrize("password", [None, "påss word"])
def test_pkcs12_holds_key_certificate_and_ca(password: str | None) -> None:
    made = issue(["alice"], client=True, password=password)
    assert made.pkcs12 is not None
    assert made.pkcs12.stat().st_mode & 0o777 == 0o600
    secret = password.encode() if password else None
    key, leaf, others = pkcs12.load_key_and_certificates(made.pkcs12.read_bytes(), secret)
    assert key is not None
    assert leaf == x509.load_pem_x509_certificate(made.cert.read_bytes())
    assert len(others) == 1


@pytest.mark.parametrize("password", ["", "secret"])
def test_browsers_import_the_pkcs12(tmp_path: Path, password: str) -> None:
    made = issue(["alice"], client=True, password=password or None)
    database = f"sql:{tmp_path}"
    subprocess.run([peer("certutil"), "-N", "-d", database, "--empty-password"], check=True)
    command = [peer("pk12util"), "-i", str(made.pkcs12), "-d", database, "-W", password]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def test_issuing_never_touches_the_ca_or_leaves_the_folder(own_certificates: Path) -> None:
    made = development()
    before = made.ca.read_bytes()
    for name in ("ca", "../../ca", ".", "/etc/ca", "ca-key"):
        issued = issue([name], client=True)
        assert issued.cert.parent == own_certificates / "issued"
    assert made.ca.read_bytes() == before


@pytest.mark.parametrize("days", [0, 399])
def test_days_are_bounded(days: int) -> None:
    with pytest.raises(CertificateError, match="--days"):
        issue(["shop.test"], days=days)


def test_description_of_the_development_certificates() -> None:
    made = development()
    ca, leaf = describe(made.ca.read_bytes()), describe(made.cert.read_bytes())
    assert (ca.is_ca, ca.self_signed, ca.problems) == (True, True, ())
    assert (leaf.is_ca, leaf.self_signed, leaf.problems) == (False, False, ())
    assert leaf.issuer == ca.subject
    assert leaf.uses == ("TLS server",)
    assert leaf.key == "ECDSA secp256r1"
    assert leaf.names[:3] == ("localhost", "127.0.0.1", "::1")
    der = ssl.PEM_cert_to_DER_cert(made.cert.read_text())
    assert describe(der) == leaf


def test_fingerprint_is_openssls() -> None:
    made = development()
    command = [peer("openssl"), "x509", "-noout", "-fingerprint", "-sha256", "-in", str(made.cert)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert describe(made.cert.read_bytes()).sha256 == said.strip().partition("=")[2]


def test_description_tells_expired_and_not_yet_valid() -> None:
    content = development().cert.read_bytes()
    now = datetime.datetime.now(datetime.UTC)
    later = describe(content, now + datetime.timedelta(days=500))
    assert later.problems[0].startswith("expired on ")
    assert later.days_left < 0
    assert "days ago" in str(later)
    assert describe(content, now - datetime.timedelta(days=2)).problems[0].startswith("not valid b")


def test_description_tells_weak_keys_and_missing_names() -> None:
    key = rsa.generate_private_key(65537, 1024)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "old")])
    now = datetime.datetime.now(datetime.UTC)
    cert = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    said = describe(cert.public_bytes(Encoding.DER))
    assert said.self_signed
    assert [problem.partition(":")[0] for problem in said.problems] == [
        "no subject alternative name",
        "weak key",
    ]


def test_what_is_no_certificate_is_one_line() -> None:
    for junk in (b"", b"junk", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        with pytest.raises(CertificateError, match="no readable certificate"):
            describe(junk)


def test_wildcards_and_networks_in_permitted_names() -> None:
    permit: list[x509.GeneralName] = [
        x509.DNSName("test"), x509.IPAddress(ipaddress.ip_network("10.0.0.0/8")),
    ]  # fmt: skip
    allowed = [n for n in ("test", "*.test", "a.test", "atest", "10.9.9.9", "11.0.0.1", "::1")
               if names.allows(permit, names.parse(n))]  # fmt: skip
    assert allowed == ["test", "*.test", "a.test", "10.9.9.9"]
