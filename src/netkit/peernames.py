"""Peers as people write them."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

from netkit.kernel import peer_credentials

RESET_AT_ONCE = "unknown (reset at once)"
"""What stands for a TCP peer that was gone before its address could be asked for."""


def host_of(name: Any) -> str:
    """The IP address in what getpeername(2) said; empty for a Unix socket."""
    return name[0] if isinstance(name, tuple) and name else ""


def written(name: Any) -> str:
    """``192.0.2.1:5000`` or ``[2001:db8::1]:5000``; what is written already stays as it is."""
    if isinstance(name, tuple) and name:
        host, port = name[0], name[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return name if isinstance(name, str) and name else RESET_AT_ONCE


def unix_peer(sock: socket.socket) -> str:
    """Who is behind an open Unix socket, as ``unix(pid=1,uid=0)``."""
    credentials = peer_credentials(sock)
    return f"unix(pid={credentials[0]},uid={credentials[1]})" if credentials else "unix"


def is_loopback(host: str) -> bool:
    """Whether an IP address is this machine's own."""
    return (
        host.startswith("127.")
        or host == "::1"
        or (host.startswith("::ffff:") and ipaddress.ip_address(host[7:]).is_loopback)
    )
