"""What went wrong on the way to the peer, in the one line that a person sees."""

from __future__ import annotations

import errno
import os
import socket
import ssl

from netkit.addresses import Address
from netkit.errors import NetworkError

_UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)


def explain(error: OSError, address: Address, servername: str = "") -> NetworkError:
    """Say what `error` means for somebody who wanted to talk to `address`."""
    return NetworkError(_text(error, address, servername or address.host))


def _text(error: OSError, address: Address, servername: str) -> str:
    match error:
        case socket.gaierror():
            return _unresolved(error, address)
        case ssl.SSLError():
            from netkit.tls.reasons import client_reason  # only TLS needs it and its imports

            return client_reason(error, servername).text
        case ConnectionRefusedError():
            wait = "" if address.scheme == "udp" else ", or wait for it with --retry"
            return f"nothing listens on {address}: start the server{wait}"
        case FileNotFoundError():
            return f"no socket at {address.path}: start the server, or wait for it with --retry"
        case TimeoutError():
            return f"{address} does not answer: check the address, or wait longer with --wait"
        case ConnectionResetError() | BrokenPipeError() | ConnectionAbortedError():
            return f"{address} reset the connection: the server's log may say why"
    if error.errno in _UNREACHABLE:
        return f"no way to {address}: {os.strerror(error.errno or 0).lower()}"
    if error.errno == errno.EPROTOTYPE:
        return f"{address} is a datagram socket: netkit connect speaks to stream sockets"
    reason = os.strerror(error.errno).lower() if error.errno else str(error)
    return f"{address}: {reason}"


def _unresolved(error: socket.gaierror, address: Address) -> str:
    if error.errno == socket.EAI_AGAIN:
        return f"the name {address.host} cannot be looked up now: check the network or DNS server"
    return f"unknown host {address.host}: check the name"


def may_pass(error: OSError) -> bool:
    """Whether waiting for the server may help: it is not up yet, or the way there is not."""
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN
    return (
        isinstance(error, (ConnectionError, TimeoutError, FileNotFoundError))
        or error.errno in _UNREACHABLE
    )
