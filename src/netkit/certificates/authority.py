"""The development CA: one key and certificate, made once, and signing with it.

It can do little on purpose: it signs no further CA (path length 0), vouches only
for this machine and private networks (critical name constraints, see `names`),
and only for TLS servers and clients (extended key usage).
"""

from __future__ import annotations

import datetime
import socket
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from netkit.certificates import files, names, pem
from netkit.certificates.folder import ca_path
from netkit.errors import CertificateError

CA_DAYS = 3652
SKEW = datetime.timedelta(hours=1)  # a client's clock may be behind ours
_RENEW = "delete it and its key to start a new CA, and trust that one anew (netkit certs trust)"


@dataclass(frozen=True)
class Authority:
    """A CA that can sign: where its certificate is, the certificate, and its key."""

    path: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def authority(folder: Path) -> Authority:
    """Load the folder's CA, or make it. Call it with the folder's lock held.

    Raises CertificateError if the CA is broken, expired or half there: a CA that
    somebody may trust is never replaced silently.
    """
    path, key_path = ca_path(folder), folder / "ca-key.pem"
    if path.exists() and not key_path.exists():
        raise CertificateError(
            f"{key_path}: the CA's key is missing; put it back, or delete {path.name} to start a"
            " new CA, and trust that one anew (netkit certs trust)"
        )
    if not path.exists():
        _make(path, key_path)
    return _load(path, key_path)


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a fresh ECDSA P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the key as unencrypted PKCS#8 PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def sign(
    ca: Authority,
    key: ec.EllipticCurvePrivateKey,
    subject: str,
    alternatives: list[x509.GeneralName],
    *,
    client: bool = False,
    days: int = 365,
) -> x509.Certificate:
    """Sign a leaf for a TLS server or client; it ends with the CA at the latest."""
    now = _now()
    end = min(now + datetime.timedelta(days=days), ca.certificate.not_valid_after_utc)
    use = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(ca.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(now - SKEW, ca.certificate.not_valid_before_utc))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(_issuer_identifier(ca.key), critical=False)
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(ca.key, hashes.SHA256())


def _make(path: Path, key_path: Path) -> None:
    """Write a new CA; the key first, so that no certificate is ever without one."""
    if key_path.exists():  # an earlier start was cut off between the two files
        key = _ec_key(key_path)
    else:
        key = new_key()
        files.write(key_path, key_pem(key), files.PRIVATE)
    certificate = _self_sign(key)
    files.write(path, certificate.public_bytes(Encoding.PEM), files.PUBLIC)


def _self_sign(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    machine = [name for name in (names.machine_name(), names.full_machine_name()) if name]
    title = f"netkit development CA ({socket.gethostname()})"[:64]  # RFC 5280: ub-common-name
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title)])
    now = _now()
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + datetime.timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signature=False), critical=True)
        .add_extension(names.constraints(machine), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(_issuer_identifier(key), critical=False)
        .sign(key, hashes.SHA256())
    )


def _load(path: Path, key_path: Path) -> Authority:
    certificate = pem.read_certificate(path, f"put the right file back, or {_RENEW}")
    key = _ec_key(key_path)
    if key.public_key() != certificate.public_key():
        raise CertificateError(
            f"{key_path}: is not the key of {path}; put the right one back, or delete both to"
            " start a new CA"
        )
    if certificate.not_valid_after_utc <= _now():
        raise CertificateError(
            f"{path}: this CA expired on {certificate.not_valid_after_utc:%Y-%m-%d}; {_RENEW}"
        )
    return Authority(path, certificate, key)


def _ec_key(path: Path) -> ec.EllipticCurvePrivateKey:
    mend = "put the right file back, or delete it and ca.pem to start a new CA"
    key = pem.read_key(path, mend)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError(f"{path}: is not an elliptic curve key; {mend}")
    return key


def _usage(*, signature: bool) -> x509.KeyUsage:
    """Return a leaf's key usage (it signs handshakes), or a CA's (it signs certificates)."""
    return x509.KeyUsage(
        digital_signature=signature,
        key_cert_sign=not signature,
        crl_sign=not signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _issuer_identifier(key: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
