"""One certificate with its key: loaded, or refused with one line that says why."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from netkit.certificates import files
from netkit.errors import CertificateError

if TYPE_CHECKING:
    from cryptography import x509

Password = str | Callable[[], str] | None


@dataclass(frozen=True)
class Flags:
    """The options that a person used, for error lines."""

    cert: str
    key: str


@dataclass(frozen=True)
class Pair:
    """What was loaded: the names it is for, its kind of key (an OID), its end, warnings."""

    hosts: tuple[str, ...]
    algorithm: str
    not_after: datetime.datetime
    warnings: tuple[str, ...]


class _NoPasswordError(Exception):
    """OpenSSL wants a password and there is none; without this it would ask the terminal."""


def load(
    context: ssl.SSLContext, cert: Path, key: Path | None, password: Password, flags: Flags
) -> Pair:
    """Load certificate chain and key into the context.

    `key` None: it is in the certificate's file. Give a spare context: when this
    raises, CertificateError, the context may hold half a pair.
    """
    leaf, hosts = _leaf(cert, flags.cert)
    now = datetime.datetime.now(datetime.UTC)
    if leaf.not_valid_after_utc <= now:
        raise CertificateError(
            f"{flags.cert} {cert}: expired on {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC;"
            " renew it"
        )
    _load(context, cert, key, password, flags)
    warnings = []
    if leaf.not_valid_before_utc > now:
        warnings.append(
            f"{flags.cert} {cert}: not valid before {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC;"
            " clients refuse it until then (is this machine's clock right?)"
        )
    warnings += _open_key(key or cert, flags.key if key else flags.cert)
    algorithm = leaf.public_key_algorithm_oid.dotted_string
    return Pair(hosts, algorithm, leaf.not_valid_after_utc, tuple(warnings))


def _leaf(cert: Path, flag: str) -> tuple[x509.Certificate, tuple[str, ...]]:
    """Return the server's or client's own certificate, and the names that it is for."""
    from netkit.certificates import names, pem  # cryptography, for a certificate alone

    mend = "give a PEM file with the server's certificate first, then the intermediate ones"
    if flag == "--cert":
        mend = "give a PEM file with your certificate first"
    try:
        leaf = pem.read_certificate(cert, mend)
    except CertificateError as error:
        raise CertificateError(f"{flag} {error}") from error
    return leaf, tuple(names.hosts(leaf))


def _load(
    context: ssl.SSLContext, cert: Path, key: Path | None, password: Password, flags: Flags
) -> None:
    asked = False

    def ask() -> str:
        nonlocal asked
        asked = True
        if password is None:
            raise _NoPasswordError
        return password() if callable(password) else password

    name = f"{flags.key} {key}" if key else f"{flags.cert} {cert}"
    if key is not None:
        try:
            files.read(key)
        except CertificateError as error:
            raise CertificateError(f"{flags.key} {error}") from error
    try:
        context.load_cert_chain(cert, key, ask)
    except _NoPasswordError as error:
        raise CertificateError(
            f"{name}: the key is encrypted and no password is given; give one, or decrypt it"
            f" with: openssl pkey -in {key or cert} -out plain.pem"
        ) from error
    except (ssl.SSLError, ValueError) as error:  # ValueError: a password over 1,024 bytes
        raise CertificateError(_why(error, name, cert, key, asked, flags)) from error


def _why(
    error: Exception, name: str, cert: Path, key: Path | None, asked: bool, flags: Flags
) -> str:
    reason = getattr(error, "reason", None) or ""
    content = files.read(key or cert)
    if b"PRIVATE KEY-----" not in content:
        where = f"give the key's file with {flags.key}" if key is None else "give a PEM key file"
        return f"{name}: holds no PEM private key; {where}"
    if reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):
        return (
            f"{name}: this key does not belong to the first certificate in {cert};"
            " give the key that it was made with, and put the server's own certificate first"
        )
    if asked:
        return f"{name}: the key cannot be decrypted; check the password"
    if reason in ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"):
        return (
            f"{flags.cert} {cert}: OpenSSL refuses its key or signature as too weak ({reason});"
            " make one with ECDSA P-256 or RSA 2048 and SHA-256"
        )
    return f"{name}: cannot be used with {cert}: {reason or error}; is the file damaged?"


def _open_key(key: Path, flag: str) -> list[str]:
    mode = key.stat().st_mode & 0o777
    if not mode & 0o004:
        return []
    return [f"{flag} {key}: everyone on this machine can read the key; run: chmod 600 {key}"]
