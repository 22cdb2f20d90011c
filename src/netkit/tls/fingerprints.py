"""What kind of client says such a hello: JA3 and JA4.

Programs that use TLS in the same way send the same offers in the same order, whatever host
they ask and from wherever. Both fingerprints are a short name for that. They tell kinds of
programs apart, not persons, and whoever wants to can forge them: they prove nothing.

* JA3 (https://github.com/salesforce/ja3): numbers in the client's order, and their MD5.
  A browser that sends its extensions in random order has another at each connection.
* JA4 (https://github.com/FoxIO-LLC/ja4, technical_details/JA4.md): the numbers sorted, so
  that their order is of no account, behind ten characters that people can read. Here only
  JA4 itself, the TLS client's, which everybody may use; not the other methods of JA4+.

Neither counts numbers of GREASE (RFC 8701).
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import md5, sha256

from netkit.tls.hello import ALPN, SERVER_NAME, ClientHello, without_grease

_VERSIONS = {0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3", 0x0002: "s2"}
_NOTHING = "0" * 12


def ja3_text(hello: ClientHello) -> str:
    """What JA3 is the MD5 of: version, suites, extensions, groups and point formats."""
    lists = (hello.suites, hello.extensions, hello.groups)
    fields = ["-".join(map(str, without_grease(each))) for each in lists]
    return ",".join([str(hello.version), *fields, "-".join(map(str, hello.point_formats))])


def ja3(hello: ClientHello) -> str:
    """32 hexadecimal digits."""
    return md5(ja3_text(hello).encode(), usedforsecurity=False).hexdigest()


def ja4_text(hello: ClientHello) -> str:
    """What JA4 is made from, without hashes: known as ``JA4_r``."""
    return "_".join([_ja4_a(hello), _ja4_b(hello), _ja4_c(hello)])


def ja4(hello: ClientHello) -> str:
    """36 characters: what people can read, and hashes of the suites and of the rest."""
    return "_".join([_ja4_a(hello), _hashed(_ja4_b(hello)), _hashed(_ja4_c(hello))])


def _ja4_a(hello: ClientHello) -> str:
    """``t13d1516h2``: over TCP, TLS 1.3, with SNI, 15 suites, 16 extensions, h2."""
    version = _VERSIONS.get(hello.newest, "00")
    name = "d" if SERVER_NAME in hello.extensions else "i"
    counts = (len(without_grease(each)) for each in (hello.suites, hello.extensions))
    suites, extensions = (f"{min(each, 99):02}" for each in counts)
    return f"t{version}{name}{suites}{extensions}{_first_alpn(hello)}"


def _first_alpn(hello: ClientHello) -> str:
    """The first protocol's first and last character, or hexadecimal digit."""
    first = hello.alpn[0] if hello.alpn else b""
    if not first:
        return "00"
    text = first.decode("latin-1")
    ends = text[0] + text[-1]
    return ends if ends.isascii() and ends.isalnum() else first.hex()[0] + first.hex()[-1]


def _ja4_b(hello: ClientHello) -> str:
    return _hexadecimal(sorted(without_grease(hello.suites)))


def _ja4_c(hello: ClientHello) -> str:
    """Extensions but for SNI and ALPN, which part a has; then the signature algorithms."""
    told = {SERVER_NAME, ALPN}
    extensions = _hexadecimal(sorted({*without_grease(hello.extensions)} - told))
    signatures = _hexadecimal(without_grease(hello.signatures))
    return f"{extensions}_{signatures}" if signatures else extensions


def _hexadecimal(numbers: Iterable[int]) -> str:
    return ",".join(f"{each:04x}" for each in numbers)


def _hashed(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12] if text else _NOTHING
