"""A client's TLS: whom it trusts, and the certificate it shows."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from pathlib import Path

from netkit.certificates.folder import ca_path, folder
from netkit.errors import CertificateError, UsageError
from netkit.tls import pair, policy

_FLAGS = pair.Flags(cert="--cert", key="--key")


def client_context(
    *,
    ca_certs: Path | None = None,
    cert: Path | None = None,
    key: Path | None = None,
    password: pair.Password = None,
    insecure: bool = False,
    alpn: Sequence[str] = (),
) -> ssl.SSLContext:
    """Return a context that trusts the system's CAs and netkit's development CA.

    ``$SSL_CERT_FILE`` replaces the system's CAs. `ca_certs` replaces both. `cert`
    and `key` are shown to servers that ask for a client certificate; without
    `key` it is in `cert`. `insecure` accepts any certificate for any name.
    Raises CertificateError naming the file that cannot be used.
    """
    context = policy.new_context(ssl.PROTOCOL_TLS_CLIENT, alpn=alpn)
    # As ssl.create_default_context since Python 3.13; 3.11 and 3.12 then agree with it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca_certs is not None:
        policy.trust(context, ca_certs, "--ca-certs ")
    else:
        _trust_system(context)
        _trust_development(context)
    if cert is not None:
        pair.load(context, cert, key, password, _FLAGS)
    elif key is not None:
        raise UsageError(f"--key {key}: a key needs its certificate; give it with --cert")
    return context


def _trust_system(context: ssl.SSLContext) -> None:
    chosen = os.environ.get("SSL_CERT_FILE")
    if chosen and not Path(chosen).is_file():  # OpenSSL would trust nobody, and not say why
        raise CertificateError(f"SSL_CERT_FILE={chosen}: there is no such file; unset or mend it")
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)


def _trust_development(context: ssl.SSLContext) -> None:
    ca = ca_path(folder())
    if ca.exists():
        policy.trust(context, ca, "")
