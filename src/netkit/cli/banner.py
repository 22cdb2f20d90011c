"""What a person can type right now against a server that has just started."""

from __future__ import annotations

import shlex

from netkit.addresses import Address
from netkit.certificates.folder import ca_path, folder


def commands(address: Address, starttls: str | None = None) -> list[str]:
    """One-line commands that talk to `address`, from this machine."""
    if address.scheme == "unix":
        path = shlex.quote(address.path)
        socat = "ABSTRACT-CONNECT:" + path[1:] if address.path.startswith("@") else f"UNIX:{path}"
        return [f"netkit connect --unix {path}", f"socat - {socat}"]
    host = _reachable(address.host)
    bracketed = f"[{host}]:{address.port}" if ":" in host else f"{host}:{address.port}"
    if address.scheme == "udp":
        return [f"netkit connect --udp {bracketed}", f"nc -u {host} {address.port}"]
    if address.scheme == "tcp":
        return [f"netkit connect {bracketed}", f"nc {host} {address.port}"]
    if starttls is not None:  # netkit's own client has none
        return [f"openssl s_client -quiet -starttls {starttls} -connect {bracketed}"]
    return [f"netkit connect --tls {bracketed}", f"openssl s_client -quiet -connect {bracketed}"]


def openssl_trust() -> str:
    """The options with which openssl verifies the development certificate."""
    return f"-verify_return_error -CAfile {shlex.quote(str(ca_path(folder())))}"


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # compared, not bound
