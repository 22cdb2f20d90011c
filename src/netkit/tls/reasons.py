"""Why a handshake or connection failed, in one line: what, whose fault, and the mend.

Pure functions from an exception to a `Reason`. OpenSSL names a failure by its
`reason` (``WRONG_VERSION_NUMBER``) and a refused certificate by its verify code
(``X509_V_ERR_*`` in x509_vfy.h). The peer's own refusals are alerts (RFC 8446
section 6.2) and arrive as ``TLSV1_ALERT_UNKNOWN_CA`` and the like. What is not
in a table here is told in OpenSSL's words.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from dataclasses import dataclass

from netkit.errors import CertificateError


@dataclass(frozen=True)
class Reason:
    """`slug` for metrics and logs (a small fixed set); `text` for people, one line."""

    slug: str
    text: str


_NOT_TLS = "the client did not speak TLS; it should connect with TLS, or to a plain port"
_CLIENT_DISTRUSTS = (
    "the client does not trust our certificate; make it trust the CA"
    " (for the development CA: netkit certs)"
)
_SERVER = {
    "HTTP_REQUEST": Reason("plain-text", "the client sent plain HTTP; it should use https://"),
    "HTTPS_PROXY_REQUEST": Reason("plain-text", "the client takes this port for an HTTP proxy"),
    "WRONG_VERSION_NUMBER": Reason("plain-text", _NOT_TLS),
    "UNKNOWN_PROTOCOL": Reason("plain-text", _NOT_TLS),
    "UNSUPPORTED_PROTOCOL": Reason(
        "no-common-version", "the client only knows TLS versions older than we accept"
    ),
    "VERSION_TOO_LOW": Reason(
        "no-common-version", "the client only knows TLS versions older than we accept"
    ),
    "ALERT_PROTOCOL_VERSION": Reason(
        "no-common-version", "the client does not know any TLS version that we accept"
    ),
    "NO_SHARED_CIPHER": Reason(
        "no-common-cipher", "the client has no cipher suite in common with us"
    ),
    "NO_SUITABLE_SIGNATURE_ALGORITHM": Reason(
        "no-common-cipher", "the client cannot verify our kind of key"
    ),
    "NO_SUITABLE_KEY_SHARE": Reason(
        "no-common-cipher", "the client has no key exchange group in common with us"
    ),
    "ALERT_HANDSHAKE_FAILURE": Reason(
        "no-common-cipher", "the client found nothing in what we offer that it accepts"
    ),
    "ALERT_UNKNOWN_CA": Reason("client-distrusts", _CLIENT_DISTRUSTS),
    "ALERT_CERTIFICATE_UNKNOWN": Reason("client-distrusts", _CLIENT_DISTRUSTS),
    "ALERT_BAD_CERTIFICATE": Reason(
        "client-distrusts",
        "the client refuses our certificate, perhaps because it asked for another host name",
    ),
    "ALERT_CERTIFICATE_EXPIRED": Reason(
        "client-distrusts", "the client says that our certificate has expired; check both clocks"
    ),
    "ALERT_UNSUPPORTED_CERTIFICATE": Reason(
        "client-distrusts", "the client says that our certificate is not for TLS servers"
    ),
    "CALLBACK_FAILED": Reason(
        "unreadable-name", "the client asked for a host name that is not ASCII"
    ),
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": Reason(
        "client-certificate-missing", "the client showed no certificate, and we demand one"
    ),
}
_SERVER_PLAIN = Reason("not-tls", "did not answer with TLS: the port speaks plain text? drop --tls")
_SERVER_OLD = Reason(
    "no-common-version", "only knows TLS versions older than 1.2, which are broken; update it"
)
_REFUSED = Reason("client-certificate-refused", "refuses our client certificate (--cert)")
_CLIENT = {
    "WRONG_VERSION_NUMBER": _SERVER_PLAIN,
    "UNKNOWN_PROTOCOL": _SERVER_PLAIN,
    "RECORD_LAYER_FAILURE": _SERVER_PLAIN,
    "UNSUPPORTED_PROTOCOL": _SERVER_OLD,
    "VERSION_TOO_LOW": _SERVER_OLD,
    "ALERT_BAD_CERTIFICATE": _REFUSED,
    "ALERT_CERTIFICATE_UNKNOWN": _REFUSED,
    "ALERT_CERTIFICATE_REVOKED": _REFUSED,
    "ALERT_CERTIFICATE_REQUIRED": Reason(
        "client-certificate-missing", "demands a client certificate; give one with --cert and --key"
    ),
    "ALERT_HANDSHAKE_FAILURE": Reason(
        "refused-by-server",
        "refused the handshake: no cipher suite in common, or it demands a client certificate"
        " (--cert and --key)",
    ),
    "ALERT_PROTOCOL_VERSION": _SERVER_OLD,
    "ALERT_UNKNOWN_CA": Reason(
        "client-certificate-refused", "does not trust the CA of our client certificate (--cert)"
    ),
    "ALERT_CERTIFICATE_EXPIRED": Reason(
        "client-certificate-refused", "says that our client certificate has expired (--cert)"
    ),
    "ALERT_UNSUPPORTED_CERTIFICATE": Reason(
        "client-certificate-refused", "says that our certificate is not for TLS clients (--cert)"
    ),
    "ALERT_NO_APPLICATION_PROTOCOL": Reason(
        "no-common-alpn", "speaks none of the protocols that we offered (ALPN)"
    ),
    "ALERT_UNRECOGNIZED_NAME": Reason(
        "wrong-host", "does not know this host name; check its spelling"
    ),
    "NO_PROTOCOLS_AVAILABLE": Reason("no-common-version", "has no TLS version in common with us"),
    "DH_KEY_TOO_SMALL": Reason("no-common-cipher", "offers a key exchange that is too weak"),
}
# What random bytes make of OpenSSL's record and ClientHello parsers.
_GARBAGE = re.compile(
    r"BAD_|LENGTH|RECORD|DECODE|UNEXPECTED_MESSAGE|UNEXPECTED_RECORD|TOO_(LONG|SHORT)|INVALID_"
)

_EXPIRED, _NOT_YET, _PURPOSE, _NAME_MISMATCH, _IP_MISMATCH = 10, 9, 26, 62, 64
_SELF_SIGNED, _NO_ISSUER, _OUTSIDE_CONSTRAINTS = 18, (2, 19, 20, 21), (47, 48, 49)


def server_reason(error: BaseException) -> Reason:
    """Say why a handshake with a client failed; `error` is what the loop or `ssl` raised."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _client_certificate(error)
    if _timed_out(error):
        return Reason("handshake-timeout", "the client did not finish the handshake in time")
    if _ended(error):
        return Reason(
            "closed-in-handshake",
            "the client closed the connection during the handshake; it may not trust our"
            " certificate",
        )
    if isinstance(error, ssl.SSLError):
        name = _name(error)
        if name in _SERVER:
            return _SERVER[name]
        if not name.startswith("ALERT_") and _GARBAGE.search(name):
            return Reason("plain-text", f"{_NOT_TLS} ({_words(error)})")
        return Reason("tls-error", f"the handshake failed: {_words(error)}")
    return Reason("network-error", f"the connection failed: {_words(error)}")


def client_reason(error: BaseException, host: str, certificate: bytes | None = None) -> Reason:
    """Say why we could not connect to `host`, a name or HOST:PORT.

    `certificate` (DER) is the server's, where the caller could get it; the line
    then tells its names or dates.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return _server_certificate(error, host, certificate)
    if isinstance(error, socket.gaierror):
        return Reason("no-such-host", f"{host}: the name has no address; check its spelling")
    if _timed_out(error):
        return Reason("timeout", f"{host}: no answer in time; is it the right host and port?")
    if _ended(error):
        # The loops' own TLS resets a client that it refuses, before the alert is out.
        return Reason(
            "closed",
            f"{host}: closed the connection; it may want plain text (drop --tls) or a client"
            " certificate (--cert)",
        )
    if isinstance(error, ssl.SSLError):
        known = _CLIENT.get(_name(error))
        if known is not None:
            return Reason(known.slug, f"{host}: {known.text}")
        return Reason("tls-error", f"{host}: the handshake failed: {_words(error)}")
    return _network(error, host)


def _client_certificate(error: ssl.SSLCertVerificationError) -> Reason:
    """Say what we hold against a client's certificate (mutual TLS)."""
    code = error.verify_code
    if code == _EXPIRED:
        return Reason("client-certificate-expired", "the client's certificate has expired")
    if code == _SELF_SIGNED or code in _NO_ISSUER:
        return Reason(
            "client-certificate-untrusted",
            "the client's certificate is not from a CA in --ssl-ca-certs",
        )
    if code == _PURPOSE:
        return Reason("client-certificate-bad", "the client's certificate is not for TLS clients")
    return Reason("client-certificate-bad", f"the client's certificate: {error.verify_message}")


def _server_certificate(
    error: ssl.SSLCertVerificationError, host: str, certificate: bytes | None
) -> Reason:
    """Say what we hold against a server's certificate, and how to mend it."""
    code = error.verify_code
    if code in (_NAME_MISMATCH, _IP_MISMATCH):
        names = _has(certificate, "names")
        return Reason("wrong-host", f"{host}: the certificate is for another host name{names}")
    if code in (_EXPIRED, _NOT_YET):
        word = "has expired" if code == _EXPIRED else "is not valid yet"
        dates = _has(certificate, "dates")
        slug = "expired" if code == _EXPIRED else "not-yet-valid"
        return Reason(slug, f"{host}: the certificate {word}{dates}; check this machine's clock")
    if code == _SELF_SIGNED:
        return Reason(
            "self-signed",
            f"{host}: the certificate is self-signed; if it is the right one, save it to a file"
            " and give that with --ca-certs",
        )
    if code in _NO_ISSUER:
        return Reason(
            "untrusted",
            f"{host}: the certificate is from a CA that we do not trust; give the CA with"
            " --ca-certs (a netkit server's: netkit certs, run there)",
        )
    if code == _PURPOSE:
        return Reason("bad-certificate", f"{host}: the certificate is not for TLS servers")
    if code in _OUTSIDE_CONSTRAINTS:
        return Reason(
            "bad-certificate", f"{host}: the certificate has a name that its CA may not sign for"
        )
    return Reason("bad-certificate", f"{host}: the certificate: {error.verify_message}")


def _has(certificate: bytes | None, what: str) -> str:
    """Return ``: it is for a.test`` or `` on 2026-01-31``, or nothing if we cannot know."""
    if certificate is None:
        return ""
    from netkit.certificates.describe import describe  # cryptography, for a certificate alone

    try:
        found = describe(certificate)
    except CertificateError:
        return ""
    if what == "names":
        return f"; it has {', '.join(found.names[:10]) or 'no names at all'}"
    if found.days_left < 0:
        return f" on {found.not_after:%Y-%m-%d %H:%M} UTC"
    return f" before {found.not_before:%Y-%m-%d %H:%M} UTC"


_ERRNO = {
    errno.ECONNREFUSED: Reason("refused", "nothing listens there; is the server running?"),
    errno.EHOSTUNREACH: Reason("unreachable", "there is no way to this host"),
    errno.ENETUNREACH: Reason("unreachable", "there is no way to this network"),
    errno.ETIMEDOUT: Reason("timeout", "no answer in time; is it the right host and port?"),
    errno.ENOENT: Reason("refused", "there is no such socket; is the server running?"),
    errno.EACCES: Reason("not-permitted", "you may not connect to this socket; check its mode"),
    errno.EPIPE: Reason("closed", "the server closed the connection"),
}


def _network(error: BaseException, host: str) -> Reason:
    codes = {error.errno} if isinstance(error, OSError) and error.errno else set()
    if not codes:
        # asyncio tries every address of a host and joins the errors into one text.
        codes = {int(code) for code in re.findall(r"\[Errno (\d+)\]", str(error))}
    known = _ERRNO.get(codes.pop()) if len(codes) == 1 else None
    if known is not None:
        return Reason(known.slug, f"{host}: {known.text}")
    return Reason("network-error", f"{host}: {_words(error)}")


def _timed_out(error: BaseException) -> bool:
    # asyncio and uvloop end a slow handshake with ConnectionAbortedError and these words.
    slow = isinstance(error, ConnectionAbortedError) and "handshake is taking longer" in str(error)
    return slow or (isinstance(error, TimeoutError) and getattr(error, "errno", None) is None)


def _ended(error: BaseException) -> bool:
    kinds = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionResetError, BrokenPipeError)
    unexpected = isinstance(error, ssl.SSLError) and "EOF" in _openssl_name(error)
    return unexpected or isinstance(error, (*kinds, EOFError, ConnectionAbortedError))


def _name(error: ssl.SSLError) -> str:
    """Return OpenSSL's name for the failure, an alert's without the version that it came with."""
    found = re.sub(r"^(SSLV3|TLSV1|TLSV13)_(ALERT_)?", "ALERT_", _openssl_name(error))
    return "" if found == "ALERT_" else found


def _openssl_name(error: ssl.SSLError) -> str:
    # An SSLError that OpenSSL did not raise lacks the attribute altogether.
    return getattr(error, "reason", None) or ""


def _words(error: BaseException) -> str:
    """Return an exception's own words as one line of at most 200 characters."""
    if isinstance(error, ssl.SSLError) and _openssl_name(error):
        return _openssl_name(error).lower().replace("_", " ")
    return " ".join(str(error).split())[:200] or type(error).__name__
