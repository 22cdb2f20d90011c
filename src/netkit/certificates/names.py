"""Host names and addresses in certificates, and which of them a CA may vouch for.

The development CA can sign for names that only mean something on this machine or
on a private network, and for nothing else: RFC 5280 section 4.2.1.10 (name
constraints), names from RFC 6761, RFC 6762, RFC 8375 and ICANN's ``.internal``.
A stolen development key is then of no use against any public site.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable

from cryptography import x509

from netkit import threads
from netkit.errors import CertificateError

PRIVATE_DOMAINS = ("localhost", "test", "local", "internal", "home.arpa")
PRIVATE_NETWORKS = (
    "127.0.0.0/8",
    "::1/128",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "fc00::/7",
    "169.254.0.0/16",
    "fe80::/10",
)
_NETWORKS = (ipaddress.IPv4Network, ipaddress.IPv6Network)
_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_HOST = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
_LOOKUP_SECONDS = 2.0  # a resolver without a network may take half a minute


def machine_name() -> str | None:
    """Return this machine's name in lower case, or None if no certificate can hold it."""
    return _host_name(socket.gethostname())


def full_machine_name() -> str | None:
    """Return the machine's fully qualified name if the resolver says it within two seconds."""
    found: list[str] = []
    lookup = threads.start(lambda: found.append(socket.getfqdn()), "netkit-name")
    lookup.join(_LOOKUP_SECONDS)
    return _host_name(found[0]) if found else None


def parse(name: str) -> x509.GeneralName:
    """Turn ``example.test``, ``*.example.test``, ``192.168.1.5`` or ``::1`` into a SAN entry.

    Raises CertificateError if it is neither a host name nor an address.
    """
    try:
        return x509.IPAddress(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        host = _host_name(name)
    if host is None:
        raise CertificateError(
            f"{name!r} is neither a host name nor an IP address: write it like shop.test or ::1"
        )
    return x509.DNSName(host)


def constraints(machine: Iterable[str]) -> x509.NameConstraints:
    """Return what a new development CA may sign for, with this machine's names in it."""
    # Without a leading dot: in RFC 5280 "test" covers itself and everything below it.
    domains = dict.fromkeys([*PRIVATE_DOMAINS, *machine])
    permitted: list[x509.GeneralName] = [x509.DNSName(domain) for domain in domains]
    permitted += [x509.IPAddress(ipaddress.ip_network(net)) for net in PRIVATE_NETWORKS]
    return x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None)


def permitted(ca: x509.Certificate) -> list[x509.GeneralName] | None:
    """Return the names and networks that this CA may sign for; None if it may sign for all."""
    try:
        found = ca.extensions.get_extension_for_class(x509.NameConstraints)
    except x509.ExtensionNotFound:
        return None
    return list(found.value.permitted_subtrees or [])


def allows(permit: list[x509.GeneralName] | None, name: x509.GeneralName) -> bool:
    """Say whether a CA with these permitted names may sign for this one."""
    if permit is None:
        return True
    if isinstance(name, x509.IPAddress):
        networks = [p.value for p in permit if isinstance(p, x509.IPAddress)]
        return any(name.value in net for net in networks if isinstance(net, _NETWORKS))
    host = str(name.value).removeprefix("*.")
    domains = [p.value for p in permit if isinstance(p, x509.DNSName)]
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def require_allowed(permit: list[x509.GeneralName] | None, name: x509.GeneralName) -> None:
    """Raise CertificateError, saying what is allowed, unless the CA may sign for this name."""
    if not allows(permit, name):
        allowed = ", ".join(str(entry.value) for entry in permit or [])
        raise CertificateError(
            f"{name.value}: the development CA may not sign for this name, only for {allowed}"
            " and what is below them; for a public name use a public CA"
        )


def hosts(certificate: x509.Certificate) -> list[str]:
    """Return the certificate's DNS names and addresses as text, in its order."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    kinds = (x509.DNSName, x509.IPAddress)
    return [str(name.value) for name in found.value if isinstance(name, kinds)]


def _host_name(text: str) -> str | None:
    """Return the name in lower case and punycode, or None if it is no host name."""
    text = text.strip().rstrip(".").lower()
    if not text.isascii():
        try:
            text = text.encode("idna").decode("ascii")
        except UnicodeError:
            return None
    return text if len(text) <= 253 and _HOST.fullmatch(text) else None
