"""What one asks of a server, one dataclass per concern.

The same names everywhere: a field ``ssl_certfile`` is the flag
``--ssl-certfile`` and the variable ``NETKIT_SSL_CERTFILE``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from netkit import addresses
from netkit.addresses import Address
from netkit.endpoints import BACKLOG
from netkit.errors import UsageError
from netkit.service import Service
from netkit.starttls import Name
from netkit.systemd import activation
from netkit.tls import ServerTLS, TLSOptions

if TYPE_CHECKING:
    from netkit.certificates.develop import Development


@dataclass(frozen=True)
class Binding:
    """Where to listen."""

    bind: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "address: HOST:PORT, tcp://…, tls://…, udp://…, unix:PATH, fd://N; repeatable"
        },
    )
    host: str | None = field(
        default=None, metadata={"help": "host to listen on  [default: 127.0.0.1]"}
    )
    port: int | None = field(
        default=None, metadata={"help": "port; 0: any free one  [default: the server's own]"}
    )
    uds: Path | None = field(default=None, metadata={"help": "Unix socket to listen on"})
    fd: int | None = field(default=None, metadata={"help": "inherited socket to listen on"})
    backlog: int = field(
        default=BACKLOG, metadata={"help": "newcomers that may wait in the kernel"}
    )

    def __post_init__(self) -> None:
        if self.backlog < 1:
            raise UsageError(f"--backlog {self.backlog}: give at least 1")

    def addresses(self, service: Service, tls: bool) -> list[Address]:
        """The addresses meant, for this service.

        Those of the flags, and those that its own settings ask for (`Service.listens`).
        Without any: the sockets that systemd passed to this process (they are taken
        over, so ask once), and without these the service's usual ports on loopback.
        """
        scheme = "tls" if tls else "tcp"
        host = self.host or "127.0.0.1"
        found = [
            addresses.parse(text, default_scheme=scheme, default_host=host) for text in self.bind
        ]
        if self.uds is not None:
            found.append(addresses.parse(f"unix:{self.uds}", flag="--uds"))
        if self.fd is not None:
            found.append(Address("fd", fd=self.fd))
        if tls:  # what is inherited shows its kind when it is adopted
            found = [replace(each, scheme="tls") if each.fd >= 0 else each for each in found]
        if self.host is not None or self.port is not None:
            found += self._internet(service, scheme, host)
        own = service.listens()
        found += [addresses.parse(text, default_host=host) for text in own or ()]
        if found or own is not None:
            return found or _activated(tls)
        return _activated(tls) or self._internet(service, scheme, host)

    def _internet(self, service: Service, scheme: str, host: str) -> list[Address]:
        port = self.port
        if port is None:
            port = service.tls_port if scheme == "tls" and service.tls_port else service.port
        authority = addresses.parse(
            f"[{host}]:{port}" if ":" in host else f"{host}:{port}", flag="--host/--port"
        )
        wanted = [scheme] if service.stream() is not None else []
        if service.datagram() is not None:
            wanted.append("udp")
        return [Address(each, authority.host, authority.port) for each in wanted]


def _activated(tls: bool) -> list[Address]:
    return [Address(each.scheme(tls), fd=each.fd) for each in activation.claim()]


def _development() -> Development:
    from netkit.certificates.develop import development  # cryptography, for TLS alone

    return development()


@dataclass(frozen=True)
class TLS:
    """With which certificate, and for whom."""

    tls: bool = field(
        default=False,
        metadata={"help": "TLS; without --ssl-certfile with a development certificate made here"},
    )
    ssl_certfile: tuple[Path, ...] = field(
        default=(),
        metadata={"help": "certificate chain (PEM); repeat with its key for one pair per name"},
    )
    ssl_keyfile: tuple[Path, ...] = field(
        default=(), metadata={"help": "its key (PEM)  [default: in the certificate's file]"}
    )
    ssl_keyfile_password: str | None = field(
        default=None, metadata={"help": "password of the key; better as NETKIT_… than as a flag"}
    )
    ssl_ca_certs: Path | None = field(
        default=None, metadata={"help": "demand client certificates under these CAs (mutual TLS)"}
    )
    ssl_alpn: tuple[str, ...] = field(
        default=(), metadata={"help": "protocol to offer by ALPN; repeatable, best first"}
    )
    ssl_minimum: Literal["1.2", "1.3"] = field(
        default="1.2", metadata={"help": "oldest TLS version"}
    )

    @property
    def wanted(self) -> bool:
        """Whether TLS was asked for, by its flag or by a certificate."""
        return self.tls or bool(self.ssl_certfile)

    def of(self, service: Service) -> TLS:
        """The same for this service: on and with its ALPN protocols, if that is its usual way."""
        return replace(
            self,
            tls=self.tls or service.encrypts(),
            ssl_alpn=self.ssl_alpn or tuple(service.alpn()),
        )

    def load(self) -> ServerTLS:
        """Read the files, or make the development certificate. Raises `CertificateError`."""
        return ServerTLS(
            TLSOptions(
                certs=self._pairs(),
                client_ca=self.ssl_ca_certs,
                password=self.ssl_keyfile_password,
                alpn=self.ssl_alpn,
                minimum=self.ssl_minimum,
                renew=None if self.ssl_certfile else _development,
            )
        )

    def _pairs(self) -> tuple[tuple[Path, Path | None], ...]:
        if not self.ssl_certfile:
            if self.ssl_keyfile:
                raise UsageError("--ssl-keyfile: a key without certificate; add --ssl-certfile")
            made = _development()
            return ((made.cert, made.key),)
        keys: Sequence[Path | None] = self.ssl_keyfile or [None] * len(self.ssl_certfile)
        if len(keys) != len(self.ssl_certfile):
            raise UsageError(
                f"--ssl-keyfile: {len(keys)} keys for {len(self.ssl_certfile)} certificates; "
                "give one for each, in the same order"
            )
        return tuple(zip(self.ssl_certfile, keys, strict=True))


@dataclass(frozen=True)
class Clear:
    """How TLS listeners begin, if not with TLS."""

    starttls: Name | None = field(
        default=None,
        metadata={"help": "begin in the clear, as this protocol does, until the client's STARTTLS"},
    )
