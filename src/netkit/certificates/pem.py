"""Certificates and keys in PEM files, read with errors for people."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from netkit.certificates import files
from netkit.errors import CertificateError


def read_certificate(path: Path, mend: str) -> x509.Certificate:
    """Read the first certificate of a PEM file. `mend` ends the line if it is broken."""
    try:
        return x509.load_pem_x509_certificate(files.read(path))
    except ValueError as error:
        raise CertificateError(f"{path}: holds no readable PEM certificate; {mend}") from error


def read_key(path: Path, mend: str) -> PrivateKeyTypes:
    """Read an unencrypted PEM key. `mend` ends the line if it is broken."""
    try:
        return load_pem_private_key(files.read(path), password=None)
    except (ValueError, TypeError) as error:
        raise CertificateError(f"{path}: holds no readable unencrypted PEM key; {mend}") from error
