"""The certificate that a client has shown, and why it is trusted (RFC 5280 section 6).

A server that was started with ``--ssl-ca-certs`` asks for one (mutual TLS), and the handshake
fails without one of those CAs' making. So whoever is connected has been verified, down from
a CA of that file to the client's own certificate. `ssl` shows that whole chain from Python 3.13
on, before only the client's own.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from netkit.errors import CertificateError

if TYPE_CHECKING:
    from netkit.certificates.describe import Description


@dataclass(frozen=True)
class Shown:
    """The verified chain, the client's own certificate first, and in words why we trust it."""

    why: str = "none was asked for; --ssl-ca-certs FILE asks for one"
    chain: list[Description] = field(default_factory=list)


def shown(secured: ssl.SSLSocket) -> Shown:
    """What a client has shown of itself."""
    if secured.context.verify_mode is ssl.CERT_NONE:
        return Shown()
    own = secured.getpeercert(binary_form=True)
    if own is None:
        return Shown("none was shown")
    verified: Any = getattr(secured, "get_verified_chain", None)
    from netkit.certificates.describe import describe  # cryptography, for a certificate alone

    try:
        chain = [describe(bytes(each)) for each in (verified() if verified else [own])]
    except CertificateError as error:  # OpenSSL reads what cryptography does not
        return Shown(f"verified, but it cannot be shown: {error}")
    if verified:
        return Shown(_because(chain[-1].subject, [each.subject for each in chain[1:-1]]), chain)
    return Shown(_because(chain[0].issuer if _directly(secured) else None), chain)


def _directly(secured: ssl.SSLSocket) -> bool:
    """Whether the CA that signed a client's certificate is itself one of those we trust."""
    certificate = secured.getpeercert() or {}
    trusted = [each["subject"] for each in secured.context.get_ca_certs()]
    return certificate.get("issuer") in trusted


def _because(anchor: str | None, between: Sequence[str] = ()) -> str:
    """Why a certificate is trusted; None: the end of its chain is not known."""
    by = "".join(f"{each}, that by " for each in between) + (anchor or "")
    if anchor is None:
        by = "CAs that Python before 3.13 does not show, the last of them one"
    return f"signed by {by}, which --ssl-ca-certs trusts; the client has proved to have its key"
