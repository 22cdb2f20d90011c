"""The development CA and certificate: what ``--tls`` uses when nothing is given.

The CA is made once and kept, because people put it into trust stores. The
certificate under it is renewed when it must be; nobody notices, since clients
trust the CA.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from netkit.certificates import authority, files, names, pem
from netkit.certificates.folder import ca_path
from netkit.certificates.folder import folder as default_folder

RENEW_BEFORE = datetime.timedelta(days=30)
_HERE = ("localhost", "127.0.0.1", "::1")
_MEND = "delete it and netkit makes a new one"


@dataclass(frozen=True)
class Development:
    """Three PEM files: the CA to trust, and the server's certificate and private key."""

    ca: Path
    cert: Path
    key: Path


def development(folder: Path | None = None) -> Development:
    """Return the development files, making or renewing what is missing or outlived.

    Several processes may call it at once and get the same files. Raises
    CertificateError if a file is broken or cannot be written.
    """
    where = default_folder() if folder is None else folder
    found = Development(ca_path(where), where / "localhost.pem", where / "localhost-key.pem")
    if _current(found):
        return found
    files.make_folder(where)
    with files.locked(where):
        ca = authority.authority(where)
        if not _current(found):  # another process may have made it while we waited
            _make_leaf(ca, found)
    return found


def leaf_names(ca: x509.Certificate) -> list[str]:
    """Return the names for the certificate: this machine by every name the CA may sign for."""
    permit = names.permitted(ca)
    machine = names.machine_name()
    # A machine that was renamed since its CA was made: a certificate with a name
    # outside the CA's constraints would be refused whole.
    extra = [machine] if machine and names.allows(permit, names.parse(machine)) else []
    return list(dict.fromkeys([*_HERE, *extra]))


def _current(files_: Development) -> bool:
    """Say whether the certificate can serve as it is."""
    if not all(path.exists() for path in (files_.ca, files_.cert, files_.key)):
        return False
    ca = pem.read_certificate(files_.ca, "put the right file back")
    leaf = pem.read_certificate(files_.cert, _MEND)
    key = pem.read_key(files_.key, _MEND)
    left = leaf.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    return (
        left > RENEW_BEFORE
        and key.public_key() == leaf.public_key()
        and set(leaf_names(ca)) <= set(names.hosts(leaf))
        and _signed_by(leaf, ca)
    )


def _signed_by(leaf: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(ca)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _make_leaf(ca: authority.Authority, to: Development) -> None:
    wanted = leaf_names(ca.certificate)
    full = names.full_machine_name()
    if full and names.allows(names.permitted(ca.certificate), names.parse(full)):
        wanted = list(dict.fromkeys([*wanted, full]))
    key = authority.new_key()
    leaf = authority.sign(ca, key, "localhost", [names.parse(name) for name in wanted])
    files.write(to.key, authority.key_pem(key), files.PRIVATE)
    files.write(to.cert, leaf.public_bytes(Encoding.PEM), files.PUBLIC)
