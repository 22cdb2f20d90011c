"""TLS outwards (``--originate``): whom we trust, what we show, which name we expect."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from netkit.errors import UsageError
from netkit.tls import client_context


@dataclass(frozen=True)
class Origination:
    """What was asked for, by the names of the flags."""

    originate: bool = False
    server_name: str | None = None
    ca_certs: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    insecure: bool = False
    upstream_alpn: tuple[str, ...] = ()

    def context(self) -> ssl.SSLContext | None:
        """For connections to upstreams; None: they are plain.

        Raises `UsageError` for what has no meaning without TLS, `CertificateError` for files.
        """
        if self.originate:
            return client_context(
                ca_certs=self.ca_certs, cert=self.cert, key=self.key, insecure=self.insecure,
                alpn=self.upstream_alpn,
            )  # fmt: skip
        for flag, given in vars(self).items():
            if given:
                name = flag.replace("_", "-")
                raise UsageError(f"--{name}: it is for TLS to upstreams; add --originate")
        return None
