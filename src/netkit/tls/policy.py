"""What netkit asks of every TLS context: RFC 9325, with 1.3 wherever both sides know it."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path

from netkit.certificates import files
from netkit.errors import CertificateError, UsageError
from netkit.tls import groups

# TLS 1.3's own suites are all good and are not named here. For 1.2: forward
# secrecy and authenticated encryption only.
_SUITES_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20"
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def new_context(
    protocol: ssl._SSLMethod, *, minimum: str = "1.2", alpn: Sequence[str] = ()
) -> ssl.SSLContext:
    """Return a context with versions, suites, groups, ALPN protocols and the key log set.

    Raises UsageError for an unknown version or a bad ALPN name, and
    CertificateError if ``$SSLKEYLOGFILE`` cannot be written.
    """
    if minimum not in _VERSIONS:
        raise UsageError(f"TLS version {minimum!r} is not known: use 1.2 or 1.3")
    groups.prepare()
    context = ssl.SSLContext(protocol)
    context.minimum_version = _VERSIONS[minimum]
    context.set_ciphers(_SUITES_1_2)
    groups.choose(context)
    context.options |= ssl.OP_NO_COMPRESSION  # CRIME
    context.options |= ssl.OP_NO_RENEGOTIATION  # a cheap way to keep a server busy
    if alpn:
        _offer(context, alpn)
    _log_keys(context)
    return context


def trust(context: ssl.SSLContext, path: Path, flag: str) -> None:
    """Trust the CAs in a PEM file; `flag` begins the CertificateError that tells of a bad one."""
    try:
        files.read(path)
        context.load_verify_locations(path)
    except CertificateError as error:
        raise CertificateError(f"{flag}{error}") from error
    except ssl.SSLError as error:
        raise CertificateError(
            f"{flag}{path}: holds no readable PEM certificate; give the CA's PEM file"
        ) from error


def _offer(context: ssl.SSLContext, alpn: Sequence[str]) -> None:
    try:
        context.set_alpn_protocols(alpn)
    except (ssl.SSLError, UnicodeEncodeError) as error:
        raise UsageError(
            f"ALPN protocols {', '.join(map(repr, alpn))}: each is 1 to 255 ASCII characters,"
            " such as irc or h2"
        ) from error


def _log_keys(context: ssl.SSLContext) -> None:
    """Write session keys where ``$SSLKEYLOGFILE`` says, for Wireshark (as curl and browsers do)."""
    path = os.environ.get("SSLKEYLOGFILE")
    if not path or sys.flags.ignore_environment:
        return
    try:
        context.keylog_filename = path
    except OSError as error:
        raise CertificateError(
            f"SSLKEYLOGFILE={path}: cannot be written ({error.strerror}); unset it or mend the path"
        ) from error
