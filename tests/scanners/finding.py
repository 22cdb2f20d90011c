"""What a scanner says of a server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One finding; `severity` in the scanner's own words."""

    scanner: str
    id: str
    severity: str
    text: str

    def __str__(self) -> str:
        return f"{self.scanner} {self.severity} {self.id}: {self.text}"


EXPLAINED = {
    "cert_revocation": "a CA on the developer's own machine publishes no CRL and answers no OCSP",
    "HSTS": "a browser would demand https of all of localhost's ports (RFC 6797, 8.3)",
}
"""By id: what a private CA for one's own machine brings with it, and why it stays so."""


def weaknesses(findings: list[Finding]) -> list[Finding]:
    """Those that are not `EXPLAINED`."""
    return [each for each in findings if each.id not in EXPLAINED]
