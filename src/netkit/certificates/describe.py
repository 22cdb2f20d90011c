"""Any certificate in words: whose it is, what it may do, how long, and what is wrong with it."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID

from netkit.certificates import names
from netkit.errors import CertificateError

_USES = {
    ExtendedKeyUsageOID.SERVER_AUTH: "TLS server",
    ExtendedKeyUsageOID.CLIENT_AUTH: "TLS client",
    ExtendedKeyUsageOID.CODE_SIGNING: "code signing",
    ExtendedKeyUsageOID.EMAIL_PROTECTION: "e-mail",
    ExtendedKeyUsageOID.TIME_STAMPING: "time stamping",
    ExtendedKeyUsageOID.OCSP_SIGNING: "OCSP signing",
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE: "anything",
}


@dataclass(frozen=True)
class Description:
    """One certificate for people; `days_left` is negative once it has expired."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime.datetime
    not_after: datetime.datetime
    days_left: int
    key: str
    sha256: str
    uses: tuple[str, ...]
    is_ca: bool
    self_signed: bool
    problems: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the description as ``label  value`` lines for a terminal."""
        issuer = "itself" if self.self_signed else self.issuer
        kind = "CA" if self.is_ca else "no CA"
        rows = [
            ("subject", self.subject),
            ("issuer", issuer),
            *(
                []
                if self.is_ca and not self.names
                else [("names", ", ".join(self.names) or "none")]
            ),
            ("valid", f"{self.not_before:%Y-%m-%d} to {self.not_after:%Y-%m-%d} ({self._left()})"),
            ("key", self.key),
            ("uses", f"{', '.join(self.uses) or 'not restricted'}; {kind}"),
            ("SHA-256", self.sha256),
        ]
        rows += [("problem", problem) for problem in self.problems]
        return [f"{label:<8} {value}" for label, value in rows]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _left(self) -> str:
        if self.days_left < 0:
            return f"expired {-self.days_left} days ago"
        return f"{self.days_left} days left"


def describe(data: bytes, now: datetime.datetime | None = None) -> Description:
    """Explain a certificate given as PEM (its first certificate counts) or DER.

    Raises CertificateError if it is neither.
    """
    moment = datetime.datetime.now(datetime.UTC) if now is None else now
    cert = _load(data)
    return Description(
        subject=cert.subject.rfc4514_string() or "none",
        issuer=cert.issuer.rfc4514_string() or "none",
        names=tuple(_all_names(cert)),
        not_before=cert.not_valid_before_utc,
        not_after=cert.not_valid_after_utc,
        days_left=(cert.not_valid_after_utc - moment).days,
        key=_key_text(cert),
        sha256=fingerprint(cert),
        uses=tuple(_uses(cert)),
        is_ca=_is_ca(cert),
        self_signed=_self_signed(cert),
        problems=tuple(_problems(cert, moment)),
    )


def fingerprint(cert: x509.Certificate) -> str:
    """Return the SHA-256 fingerprint in the ``AB:CD:…`` form of openssl and browsers."""
    return cert.fingerprint(hashes.SHA256()).hex(":").upper()


def _load(data: bytes) -> x509.Certificate:
    try:
        if b"-----BEGIN " in data:
            return x509.load_pem_x509_certificate(data)
        return x509.load_der_x509_certificate(data)
    except ValueError as error:
        raise CertificateError(
            "this holds no readable certificate: give a PEM or DER certificate file"
        ) from error


def _all_names(cert: x509.Certificate) -> list[str]:
    try:
        found = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    plain = (x509.DNSName, x509.IPAddress, x509.RFC822Name, x509.UniformResourceIdentifier)
    return [str(name.value) if isinstance(name, plain) else "another kind" for name in found]


def _key_of(cert: x509.Certificate) -> CertificatePublicKeyTypes | None:
    try:
        return cert.public_key()
    except Exception:  # cryptography raises several kinds for keys that it does not know
        return None


def _key_text(cert: x509.Certificate) -> str:
    key = _key_of(cert)
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ECDSA {key.curve.name}"
    if isinstance(key, dsa.DSAPublicKey):
        return f"DSA {key.key_size} bits"
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "Ed25519"
    if isinstance(key, ed448.Ed448PublicKey):
        return "Ed448"
    return "of an unknown kind"


def _uses(cert: x509.Certificate) -> list[str]:
    try:
        found = cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [_USES.get(oid, oid.dotted_string) for oid in found]


def _is_ca(cert: x509.Certificate) -> bool:
    try:
        return cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _self_signed(cert: x509.Certificate) -> bool:
    try:
        cert.verify_directly_issued_by(cert)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _problems(cert: x509.Certificate, now: datetime.datetime) -> list[str]:
    found = []
    if now > cert.not_valid_after_utc:
        found.append(f"expired on {cert.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    if now < cert.not_valid_before_utc:
        found.append(f"not valid before {cert.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")
    uses = _uses(cert)
    serves = not uses or "TLS server" in uses
    if serves and not _is_ca(cert) and not names.hosts(cert):
        found.append("no subject alternative name: clients ignore the common name (RFC 9525)")
    key = _key_of(cert)
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < 2048:
        found.append(f"weak key: RSA {key.key_size} bits; 2048 is the least that clients accept")
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size < 224:
        found.append(f"weak key: curve {key.curve.name}; use P-256")
    if isinstance(key, dsa.DSAPublicKey):
        found.append("DSA key: TLS clients no longer accept it")
    if _weak_hash(cert):
        found.append("signed with MD5 or SHA-1: clients no longer accept it")
    return found


def _weak_hash(cert: x509.Certificate) -> bool:
    if _self_signed(cert):
        return False  # a root's own signature proves nothing and is not checked
    try:
        return isinstance(cert.signature_hash_algorithm, hashes.MD5 | hashes.SHA1)
    except Exception:  # cryptography raises several kinds for hashes that it does not know
        return False
