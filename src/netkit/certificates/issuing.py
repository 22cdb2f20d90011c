"""Further certificates under the development CA: for servers, and for clients (mutual TLS)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    pkcs12,
)

from netkit.certificates import authority, files, names
from netkit.certificates.folder import folder as default_folder
from netkit.errors import CertificateError

MAX_DAYS = 398
"""What browsers accept at most for a server (CA/Browser Forum ballot SC31)."""
MAX_NAMES = 100  # far beyond any development certificate; the file stays readable


@dataclass(frozen=True)
class Issued:
    """The PEM files of one certificate, and the PKCS#12 file that browsers import."""

    cert: Path
    key: Path
    pkcs12: Path | None = None


def issue(
    wanted: list[str],
    *,
    client: bool = False,
    folder: Path | None = None,
    days: int = 365,
    password: str | None = None,
) -> Issued:
    """Sign a certificate for these names and write it to ``issued/`` in the folder.

    A server's names are host names and addresses. A client has one name, of a
    person or program, and its PKCS#12 file is encrypted with `password` if given
    (the PEM key never is). An earlier certificate of the same name is replaced.
    Raises CertificateError for a name that the CA may not sign for.
    """
    if not 1 <= days <= MAX_DAYS:
        raise CertificateError(f"--days {days}: a certificate may last from 1 to {MAX_DAYS} days")
    if not 1 <= len(wanted) <= (1 if client else MAX_NAMES):
        raise CertificateError(
            "a client certificate has exactly one name"
            if client
            else f"a certificate has from 1 to {MAX_NAMES} names, not {len(wanted)}"
        )
    where = default_folder() if folder is None else folder
    files.make_folder(where)
    files.make_folder(where / "issued")
    with files.locked(where):
        ca = authority.authority(where)
        permit = names.permitted(ca.certificate)
        sans = _client_names(wanted[0], permit) if client else _server_names(wanted, permit)
        key = authority.new_key()
        subject = wanted[0] if client else _common_name(sans)
        leaf = authority.sign(ca, key, subject, sans, client=client, days=days)
        return _write(where / "issued", ca, key, leaf, wanted[0], client, password)


def _server_names(
    wanted: list[str], permit: list[x509.GeneralName] | None
) -> list[x509.GeneralName]:
    found = [names.parse(name) for name in dict.fromkeys(wanted)]
    for name in found:
        names.require_allowed(permit, name)
    return found


def _common_name(sans: list[x509.GeneralName]) -> str:
    """Return a subject for people; only the alternative names count (RFC 9525).

    Never an address: OpenSSL would take it for a host name (see `_client_names`).
    """
    hosts = [name.value for name in sans if isinstance(name, x509.DNSName)]
    return next((host for host in hosts if len(host) <= 64), "netkit server")


def _client_names(name: str, permit: list[x509.GeneralName] | None) -> list[x509.GeneralName]:
    """Return the client's alternative names; refuse a name that verification would refuse.

    OpenSSL checks the common name of a certificate without DNS names against the
    CA's DNS constraints if it looks like a host name, that is, has a dot and no
    other character than a host name may have (``cn2dnsid`` in v3_ncons.c).
    """
    if not name.isprintable() or not name.strip() or len(name) > 64:
        raise CertificateError(
            f"{name[:80]!r}: a client's name is 1 to 64 printable characters, such as alice"
        )
    if re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", name) and name.isascii():
        return [x509.RFC822Name(name)]
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name) or "." not in name[1:-1]:
        return []
    try:
        host = names.parse(name)
        allowed = isinstance(host, x509.DNSName) and names.allows(permit, host)
    except CertificateError:
        allowed = False
    if not allowed:
        raise CertificateError(
            f"{name}: a client's name with dots counts as a host name, and the development CA"
            " may not sign for this one; write it without dots (alice-smith) or as an address"
            " (alice@example.org)"
        )
    return [host]


def _write(
    folder: Path,
    ca: authority.Authority,
    key: ec.EllipticCurvePrivateKey,
    leaf: x509.Certificate,
    name: str,
    client: bool,
    password: str | None,
) -> Issued:
    stem = re.sub(r"[^\w.@-]", "_", name.replace("*", "_wildcard")).lstrip(".")
    stem = f"{stem}-client" if client else stem
    issued = Issued(
        cert=folder / f"{stem}.pem",
        key=folder / f"{stem}-key.pem",
        pkcs12=folder / f"{stem}.p12" if client else None,
    )
    files.write(issued.key, authority.key_pem(key), files.PRIVATE)
    if issued.pkcs12 is not None:
        files.write(issued.pkcs12, _pkcs12(ca, key, leaf, name, password), files.PRIVATE)
    files.write(issued.cert, leaf.public_bytes(Encoding.PEM), files.PUBLIC)
    return issued


def _pkcs12(
    ca: authority.Authority,
    key: ec.EllipticCurvePrivateKey,
    leaf: x509.Certificate,
    name: str,
    password: str | None,
) -> bytes:
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return pkcs12.serialize_key_and_certificates(
        name.encode(), key, leaf, [ca.certificate], encryption
    )
