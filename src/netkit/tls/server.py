"""A server's TLS: the context it serves, and replacing what is behind it while it serves.

New handshakes get a replaced certificate at once and open connections keep
theirs, on both loops:

* A context holds one pair for each kind of key: ECDSA and RSA, side by side. A pair that
  is replaced by one of its kind is loaded again into the very contexts that have it.
* Pairs for different names have contexts of their own. The SNI callback, which OpenSSL
  calls before it chooses a certificate, puts the right one on the connection.
* OpenSSL can add CAs to a context but not take any away, nor change the keys that it
  seals session tickets with. So a replaced `client_ca`, and time, make new contexts.

The callback stays away while it is not needed: with it CPython prints a traceback for
each client whose SNI name is not ASCII (`unreadable` is about that).
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from netkit.errors import CertificateError, UsageError
from netkit.tls import pair, policy
from netkit.tls.choosing import OTHERS, candidates, choices

RENEW_EVERY = 3600.0
"""Seconds between two calls of `TLSOptions.renew`."""

TICKET_KEYS_LAST = 12 * 3600.0
"""Seconds after which session tickets are sealed with new keys.

Whoever gets hold of the keys can read what was said by TLS 1.2 under their tickets, and
OpenSSL keeps them as long as the context. A ticket itself is good for two hours.
"""

_FLAGS = pair.Flags(cert="--ssl-certfile", key="--ssl-keyfile")
Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True)
class TLSOptions:
    """What a server's TLS is made from; paths are PEM files.

    `certs`: (certificate chain, key) pairs; a key of None is in the chain's file.
    Clients that name a host get the pair whose certificate has that name, all
    others the first; of several with the same name and different kinds of key, one
    that they can verify. `client_ca`: demand a client certificate under one of these
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
class _Loaded:
    """A pair that can be served, and a context that has it alone."""

    context: ssl.SSLContext
    pair: pair.Pair


class ServerTLS:
    """A server's TLS context, kept up to date by `reload_if_changed`.

    `context` is for new connections: read it for each of them, since it becomes another
    once in `TICKET_KEYS_LAST`. Whoever keeps the first one, as ``asyncio.start_server``
    does, serves replaced certificates too, and only keeps the keys for tickets. `warnings`
    holds lines about what is allowed but unwise. Raises CertificateError if a file cannot
    be used, UsageError for other options.
    """

    def __init__(self, options: TLSOptions) -> None:
        if not options.certs:
            raise UsageError("TLS needs a certificate: give --ssl-certfile, or --tls alone")
        self._options = options
        self._renew_at = time.monotonic() + RENEW_EVERY
        self._new_ticket_keys_at = time.monotonic() + TICKET_KEYS_LAST
        self._stamps = self._current_stamps()
        self._doubted: list[Stamp] = []
        """The files when they were last found unusable, which was not reported."""
        loaded = {place: self._load(place) for place in range(len(options.certs))}
        self._pairs = [each.pair for each in loaded.values()]
        self._contexts: dict[tuple[int, ...], ssl.SSLContext] = {}
        """By the places of the pairs that they have."""
        self._by_name: dict[str, ssl.SSLContext] = {}
        self._serve(loaded)
        self.context = self._by_name[OTHERS]
        self._choose_if_needed()

    @property
    def warnings(self) -> list[str]:
        """Lines about what is allowed but unwise, for the pairs now in force."""
        return [line for each in self._pairs for line in each.warnings]

    def reload_if_changed(self, *, patient: bool = False) -> list[str]:
        """Look at the files and put changed ones in force; return a line for each.

        Takes a few microseconds per file while nothing has changed. A pair or CA
        that cannot be used raises CertificateError, after the others are in force:
        what was served before it stays, and it is not reported again until it
        changes once more. With `patient` it is reported at the second look that finds
        it so: one file may be replaced after the other. Call it from the loop's thread.
        """
        self._keep_time()
        stamps = self._current_stamps()
        if stamps == self._stamps:
            return []
        before, self._stamps = self._stamps, stamps
        count = len(self._pairs)
        new_ca = before[count:] != stamps[count:]
        loaded: dict[int, _Loaded] = {}
        lines, problems = [], []
        for index in range(count):
            new_pair = before[index : index + 1] != stamps[index : index + 1]
            if not new_pair and not new_ca:
                continue
            try:
                loaded[index] = self._load(index)
                lines.append(self._line(index, loaded[index].pair, new_pair))
            except CertificateError as error:
                problems.append(str(error))
        if loaded:
            self._serve(loaded, anew=new_ca)
            self._choose_if_needed()
        if problems and patient and stamps != self._doubted:
            self._doubted, self._stamps = stamps, before
        elif problems:
            raise CertificateError("; ".join(dict.fromkeys(problems)))
        return list(dict.fromkeys(lines))

    def _keep_time(self) -> None:
        """Do what is due: renew the files, change the keys for tickets."""
        now = time.monotonic()
        if self._options.renew is not None and now >= self._renew_at:
            self._renew_at = now + RENEW_EVERY
            self._options.renew()
        if now >= self._new_ticket_keys_at:
            self._new_ticket_keys_at = now + TICKET_KEYS_LAST
            self._serve({}, anew=True)
            self.context.sni_callback = self._choose  # for whoever keeps this one
            self.context = self._by_name[OTHERS]
            self._choose_if_needed()

    def _serve(self, loaded: dict[int, _Loaded], *, anew: bool = False) -> None:
        """Serve the pairs that were loaded, at their places; `anew`: by new contexts alone."""
        before = self._pairs
        self._pairs = [loaded[i].pair if i in loaded else old for i, old in enumerate(before)]
        # In its context it would stand beside the old one, if it is of another kind.
        others = {i for i, new in loaded.items() if new.pair.algorithm != before[i].algorithm}
        contexts: dict[tuple[int, ...], ssl.SSLContext] = {}
        chosen = choices(self._pairs)
        for places in dict.fromkeys(chosen.values()):
            known = self._contexts.get(places)
            if known is None or anew or others.intersection(places):
                contexts[places] = self._make(places) or known or self._spare(places, loaded)
            else:
                contexts[places] = self._load_again(known, places, loaded)
        self._contexts = contexts
        self._by_name = {name: contexts[places] for name, places in chosen.items()}

    def _make(self, places: tuple[int, ...]) -> ssl.SSLContext | None:
        """Return a new context with those of these pairs that can be used by now, if any can."""
        count = 0
        try:
            context = self._blank()
        except CertificateError:  # the client CA
            return None
        for place in places:
            with suppress(CertificateError):
                self._load(place, context)
                count += 1
        return context if count else None

    def _load_again(
        self, context: ssl.SSLContext, places: tuple[int, ...], loaded: dict[int, _Loaded]
    ) -> ssl.SSLContext:
        """Load new pairs into a context that is served; return the one to serve from now on."""
        try:
            for place in places:
                if place in loaded:
                    self._load(place, context)
        except CertificateError:  # the files changed again since they were tried
            self._stamps = []
            return self._spare(places, loaded)
        return context

    def _spare(self, places: tuple[int, ...], loaded: dict[int, _Loaded]) -> ssl.SSLContext:
        """Return what can be served in a context's place until the next look."""
        return next((loaded[i].context for i in places if i in loaded), self.context)

    def _load(self, place: int, context: ssl.SSLContext | None = None) -> _Loaded:
        context = context or self._blank()
        cert, key = self._options.certs[place]
        return _Loaded(context, pair.load(context, cert, key, self._options.password, _FLAGS))

    def _choose_if_needed(self) -> None:
        """Have the callback if any connection needs another context than the one they have."""
        if any(each is not self.context for each in self._by_name.values()):
            self.context.sni_callback = self._choose

    def _choose(
        self, connection: ssl.SSLObject | ssl.SSLSocket, host: str | None, _: ssl.SSLContext
    ) -> None:
        """Put the context for this host name on the connection (OpenSSL's SNI callback)."""
        for name in candidates(host):
            if name in self._by_name:
                connection.context = self._by_name[name]
                return

    def _blank(self) -> ssl.SSLContext:
        """Return a context with everything but a certificate."""
        context = policy.new_context(
            ssl.PROTOCOL_TLS_SERVER, minimum=self._options.minimum, alpn=self._options.alpn
        )
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

    def _line(self, index: int, loaded: pair.Pair, new_pair: bool) -> str:
        if not new_pair:
            return f"{self._options.client_ca}: clients are now verified with the new CAs"
        cert, _ = self._options.certs[index]
        return f"{cert}: now serving the new certificate, valid to {loaded.not_after:%Y-%m-%d}"


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
