"""A live server's certificates, and whether a client of ours would accept them.

Two connections: one that accepts anything, to see; one that verifies, to judge.
It blocks, so it is for commands, not for a running loop.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

from netkit.errors import NetworkError
from netkit.tls.client import client_context
from netkit.tls.reasons import Reason, client_reason


@dataclass(frozen=True)
class Probe:
    """What a server showed (DER, its own certificate first) and `refused`, why it fails."""

    certificates: tuple[bytes, ...]
    version: str
    cipher: str
    refused: Reason | None


def probe(host: str, port: int, timeout: float = 10.0) -> Probe:
    """Look at a TLS server; each connection takes at most about `timeout` seconds.

    Python before 3.13 can only tell the server's own certificate, not its chain.
    Raises NetworkError if the server cannot be reached or does not speak TLS.
    """
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        with _connect(host, port, client_context(insecure=True), timeout) as connection:
            chain = _chain(connection)
            cipher = connection.cipher()
            seen = (connection.version() or "", cipher[0] if cipher else "")
    except OSError as error:
        raise NetworkError(client_reason(error, where).text) from error
    try:
        _connect(host, port, client_context(), timeout).close()
    except OSError as error:
        return Probe(chain, *seen, client_reason(error, where, chain[0] if chain else None))
    return Probe(chain, *seen, None)


def _connect(host: str, port: int, context: ssl.SSLContext, timeout: float) -> ssl.SSLSocket:
    plain = socket.create_connection((host, port), timeout)
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except BaseException:  # Ctrl-C too
        plain.close()
        raise


def _chain(connection: ssl.SSLSocket) -> tuple[bytes, ...]:
    whole = getattr(connection, "get_unverified_chain", None)  # Python 3.13
    if whole is not None:
        return tuple(whole())
    own = connection.getpeercert(binary_form=True)
    return (own,) if own else ()
