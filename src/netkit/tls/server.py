"""A server's TLS: the context it serves, and replacing what is behind it while it serves.

New handshakes get a replaced certificate at once and open connections keep
theirs, on both loops:

* A single pair is loaded again into the very context that is being served.
* Of several pairs, each has a context of its own. The SNI callback, which OpenSSL calls
  before it chooses a certificate, puts the right one on the connection.
* OpenSSL can add CAs to a context but not take any away. So a replaced `client_ca`
  makes new contexts, and the callback puts them on connections from then on.

The callback stays away while it is not needed: with it CPython prints a traceback for
each client whose SNI name is not ASCII (`unreadable` is about that).
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from netkit.errors import CertificateError, UsageError
from netkit.tls import pair, policy

RENEW_EVERY = 3600.0
"""Seconds between two calls of `TLSOptions.renew`."""

_FLAGS = pair.Flags(cert="--ssl-certfile", key="--ssl-keyfile")
Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True)
class TLSOptions:
    """What a server's TLS is made from; paths are PEM files.

    `certs`: (certificate chain, key) pairs; a key of None is in the chain's file.
    Clients that name a host get the pair whose certificate has that name, all
    others the first. `client_ca`: demand a client certificate under one of these
    CAs. `password`: for encrypted keys, or a callable that returns it. `alpn`:
    protocols in order of preference. `minimum`: "1.2" or "1.3". `renew`: called once an
    hour to make new files before the old ones expire; it may raise CertificateError.
    """

    certs: tuple[tuple[Path, Path | None], ...]
    client_ca: Path | None = None
    password: pair.Password = None
    alpn: tuple[str, ...] = ()
    minimum: str = "1.2"
    renew: Callable[[], object] | None = None


@dataclass(frozen=True)
class _Served:
    """One pair in force, and the context that has it."""

    context: ssl.SSLContext
    pair: pair.Pair


class ServerTLS:
    """A server's TLS context, kept up to date by `reload_if_changed`.

    `context` goes to ``asyncio.start_server`` or ``loop.create_server`` and stays
    the same object for good. `warnings` holds lines about what is allowed but
    unwise. Raises CertificateError if a file cannot be used, UsageError for other
    options.
    """

    def __init__(self, options: TLSOptions) -> None:
        if not options.certs:
            raise UsageError("TLS needs a certificate: give --ssl-certfile, or --tls alone")
        self._options = options
        self._renew_at = time.monotonic() + RENEW_EVERY
        self._stamps = self._current_stamps()
        self._doubted: list[Stamp] = []
        """The files when they were last found unusable, which was not reported."""
        self._served = [self._load(index) for index in range(len(options.certs))]
        self.context = self._blank()
        self._load_front()
        if len(options.certs) > 1:
            self.context.sni_callback = self._choose

    @property
    def warnings(self) -> list[str]:
        """Lines about what is allowed but unwise, for the pairs now in force."""
        return [line for served in self._served for line in served.pair.warnings]

    def reload_if_changed(self, *, patient: bool = False) -> list[str]:
        """Look at the files and put changed ones in force; return a line for each.

        Takes a few microseconds per file while nothing has changed. A pair or CA
        that cannot be used raises CertificateError, after the others are in force:
        what was served before it stays, and it is not reported again until it
        changes once more. With `patient` it is reported at the second look that finds
        it so: one file may be replaced after the other. Call it from the loop's thread.
        """
        if self._options.renew is not None and time.monotonic() >= self._renew_at:
            self._renew_at = time.monotonic() + RENEW_EVERY
            self._options.renew()
        stamps = self._current_stamps()
        if stamps == self._stamps:
            return []
        before, self._stamps = self._stamps, stamps
        count = len(self._served)
        new_ca = before[count:] != stamps[count:]
        lines, problems = [], []
        for index in range(count):
            new_pair = before[index : index + 1] != stamps[index : index + 1]
            if not new_pair and not new_ca:
                continue
            try:
                self._replace(index, self._load(index), keep_front=not new_ca)
                lines.append(self._line(index, new_pair))
            except CertificateError as error:
                problems.append(str(error))
        if problems and patient and stamps != self._doubted:
            self._doubted, self._stamps = stamps, before
        elif problems:
            raise CertificateError("; ".join(dict.fromkeys(problems)))
        return list(dict.fromkeys(lines))

    def _replace(self, index: int, new: _Served, *, keep_front: bool) -> None:
        """Serve a new pair from now on; `keep_front` if the served context can go on."""
        old, self._served[index] = self._served[index], new
        # A context keeps one pair for each kind of key, so that a replaced RSA pair
        # would stay beside a new ECDSA one.
        if index == 0 and keep_front and old.pair.algorithm == new.pair.algorithm:
            try:
                self._load_front()
                return
            except CertificateError:  # the files changed again since they were tried
                self._stamps = []
        self.context.sni_callback = self._choose

    def _choose(
        self, connection: ssl.SSLObject | ssl.SSLSocket, host: str | None, _: ssl.SSLContext
    ) -> None:
        """Put the context for this host name on the connection (OpenSSL's SNI callback)."""
        connection.context = self._served[self._index_for(host)].context

    def _index_for(self, host: str | None) -> int:
        if not host or len(self._served) == 1:
            return 0
        exact = host.lower()
        wildcard = f"*.{exact.partition('.')[2]}"  # RFC 9525 6.3: for one label, the leftmost
        for wanted in (exact, wildcard):
            for index, served in enumerate(self._served):
                if wanted in served.pair.hosts:
                    return index
        return 0

    def _load(self, index: int) -> _Served:
        context = self._blank()
        cert, key = self._options.certs[index]
        return _Served(context, pair.load(context, cert, key, self._options.password, _FLAGS))

    def _load_front(self) -> None:
        """Load the first pair into the context that is served, after it went well on another."""
        cert, key = self._options.certs[0]
        pair.load(self.context, cert, key, self._options.password, _FLAGS)

    def _blank(self) -> ssl.SSLContext:
        """Return a context with everything but a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        policy.apply(context, minimum=self._options.minimum, alpn=self._options.alpn)
        if self._options.client_ca is not None:
            _demand_certificate(context, self._options.client_ca)
        return context

    def _current_stamps(self) -> list[Stamp]:
        """Return what tells that files changed: one stamp per pair, then the client CA's."""
        stamps = [
            tuple(_stamp(path) for path in paths if path is not None)
            for paths in self._options.certs
        ]
        ca = self._options.client_ca
        return stamps if ca is None else [*stamps, (_stamp(ca),)]

    def _line(self, index: int, new_pair: bool) -> str:
        if not new_pair:
            return f"{self._options.client_ca}: clients are now verified with the new CAs"
        cert, _ = self._options.certs[index]
        end = self._served[index].pair.not_after
        return f"{cert}: now serving the new certificate, valid to {end:%Y-%m-%d}"


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _demand_certificate(context: ssl.SSLContext, client_ca: Path) -> None:
    context.verify_mode = ssl.CERT_REQUIRED
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0  # a resumed session would not be verified again
    policy.trust(context, client_ca, "--ssl-ca-certs ")
