"""TLS without sockets: both ends of a handshake in memory, and pairs for them."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from netkit.certificates import authority, names
from netkit.certificates.develop import development
from netkit.tls import ServerTLS, TLSOptions, client_context


@dataclass
class Side:
    """One end of a handshake without sockets."""

    tls: ssl.SSLObject
    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    error: Exception | None = field(default=None)

    def step(self, action: Callable[[], object]) -> None:
        if self.error is None:
            try:
                action()
            except ssl.SSLWantReadError:
                pass
            except Exception as error:  # each test says which one it expects
                self.error = error


def side(context: ssl.SSLContext, host: str | None = None) -> Side:
    bios = ssl.MemoryBIO(), ssl.MemoryBIO()
    return Side(context.wrap_bio(*bios, server_side=host is None, server_hostname=host), *bios)


def handshake(
    server: ssl.SSLContext, client: ssl.SSLContext, host: str = "localhost"
) -> tuple[Side, Side]:
    """Shake hands to the end or to both sides' errors; then read once, for TLS 1.3's alerts."""
    ours, theirs = side(server), side(client, host)
    for _ in range(6):
        for one, other in ((theirs, ours), (ours, theirs)):
            one.step(one.tls.do_handshake)
            other.incoming.write(one.outgoing.read())
    theirs.step(lambda: theirs.tls.read(1))
    return ours, theirs


def served(context: ssl.SSLContext, host: str = "localhost") -> x509.Certificate:
    """Return the certificate that a client asking for this host gets."""
    _, theirs = handshake(context, client_context(insecure=True), host)
    der = theirs.tls.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der)


def pem(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def local(**options: object) -> ServerTLS:
    made = development()
    return ServerTLS(TLSOptions(certs=((made.cert, made.key),), **options))  # type: ignore[arg-type]  # mixed types


def put(path: Path, content: bytes) -> None:
    """Replace a file as certificate tools do: another inode, so that it counts as changed."""
    draft = path.with_suffix(".new")
    draft.write_bytes(content)
    draft.replace(path)


def rsa_pair(where: Path) -> tuple[Path, Path]:
    development()
    key = rsa.generate_private_key(65537, 2048)
    ca = authority.authority(where)
    leaf = authority.sign(ca, key, "localhost", [names.parse("localhost")])  # type: ignore[arg-type]  # RSA
    (where / "rsa.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (where / "rsa-key.pem").write_bytes(text)
    return where / "rsa.pem", where / "rsa-key.pem"
