"""Addresses become bound sockets; what cannot be bound is said in one line."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from dataclasses import dataclass, replace
from pathlib import Path

from netkit.addresses import Address
from netkit.errors import StartError, UsageError

BACKLOG = 2048
"""Connections that wait in the kernel; it takes the least of this and net.core.somaxconn."""

UNIX_MODE = 0o600
"""Who may connect to a Unix socket of ours: its owner, unless told otherwise."""


@dataclass(frozen=True)
class Endpoint:
    """A bound socket and the address that reaches it. `close` closes the socket."""

    address: Address
    sock: socket.socket
    inherited: bool = False
    """Opened by our parent (``--fd``, systemd), who may go on listening on it."""

    @property
    def datagrams(self) -> bool:
        """Whether it carries datagrams instead of connections."""
        return self.sock.type == socket.SOCK_DGRAM

    def close(self) -> None:
        """Close the socket, and remove a Unix socket's file if it is still ours."""
        if self.sock.family == socket.AF_UNIX and not self.inherited:
            _remove_own_file(self.sock, self.address)
        self.sock.close()


def bind(address: Address, *, backlog: int = BACKLOG, share_port: bool = False) -> list[Endpoint]:
    """Bind one address; a host name that means several addresses gives several endpoints.

    Streams listen already. With port 0 all the addresses of a name share the
    port that the kernel chose for the first. With `share_port` other sockets that
    ask for it too may have the same port, and the kernel spreads newcomers over
    all (SO_REUSEPORT, socket(7)). An address with a descriptor is that socket, with
    TLS if its scheme says so and it carries TCP. Raises `StartError`, or `UsageError`
    where the address itself is wrong.
    """
    if address.fd >= 0 or address.scheme == "fd":
        return [_adopt(address, backlog)]
    if address.scheme == "unix":
        return [_bind_unix(address, backlog)]
    endpoints: list[Endpoint] = []
    try:
        for family, host, scope in _resolve(address):
            port = address.port or (endpoints[0].address.port if endpoints else 0)
            where = (host, port) if family == socket.AF_INET else (host, port, 0, scope)
            endpoints.append(_bind_internet(address, family, where, backlog, share_port))
    except BaseException:  # whatever it is, no socket is left open
        for endpoint in endpoints:
            endpoint.close()
        raise
    return endpoints


def _resolve(address: Address) -> list[tuple[socket.AddressFamily, str, int]]:
    kind = socket.SOCK_DGRAM if address.scheme == "udp" else socket.SOCK_STREAM
    try:
        found = socket.getaddrinfo(
            address.host or None, address.port, type=kind, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as error:
        raise StartError(
            f"--bind {address}: cannot resolve {address.host!r} ({error.strerror}); "
            "give an address of this machine"
        ) from None
    unique = {
        (family, str(where[0]), int(where[3]) if len(where) == 4 else 0): None
        for family, _, _, _, where in found
    }
    return list(unique)


def _bind_internet(
    address: Address,
    family: socket.AddressFamily,
    where: tuple[str, int] | tuple[str, int, int, int],
    backlog: int,
    share_port: bool,
) -> Endpoint:
    kind = socket.SOCK_DGRAM if address.scheme == "udp" else socket.SOCK_STREAM
    sock = socket.socket(family, kind)
    try:
        if kind == socket.SOCK_STREAM:
            # So that a restart need not wait for TIME_WAIT to pass (socket(7)). Not on
            # UDP, where it would let a second server take over the port.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # [::] means IPv6 alone; whoever wants both binds both.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if share_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(where)
        if kind == socket.SOCK_STREAM:
            sock.listen(backlog)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise StartError(f"cannot listen on {address}: {_mend(error, address)}") from None
    name = sock.getsockname()
    return Endpoint(replace(address, host=name[0], port=name[1]), sock)


def _mend(error: OSError, address: Address) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is taken by another process; stop it, or give another port (0: any free)"
    if error.errno == errno.EACCES and 0 < address.port < 1024:
        return "ports below 1024 need root or CAP_NET_BIND_SERVICE; give a port from 1024 up"
    if error.errno == errno.EADDRNOTAVAIL:
        return "no interface of this machine has that address"
    return os.strerror(error.errno or 0)


def _bind_unix(address: Address, backlog: int) -> Endpoint:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    path = address.socket_path
    try:
        if not path.startswith("\0"):
            _remove_stale_file(address)
        # bind(2) makes the file by the umask; there must be no moment in which others can connect.
        before = os.umask(0o777 & ~UNIX_MODE)
        try:
            sock.bind(path)
        finally:
            os.umask(before)
        sock.listen(backlog)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        why = os.strerror(error.errno or 0)
        raise StartError(
            f"cannot listen on {address}: {why}; give a path in a folder that you may write to"
        ) from None
    except BaseException:  # as a StartError of ours: the socket is not left open
        sock.close()
        raise
    return Endpoint(address, sock)


def _remove_stale_file(address: Address) -> None:
    """Remove a socket file that nobody listens on: its server died without cleaning up."""
    path = Path(address.path)
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise StartError(
            f"cannot listen on {address}: a file that is no socket is there; "
            "remove it or give another path"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # connect(2) to a full backlog answers EAGAIN at once
        answer = probe.connect_ex(address.path)
    if answer == errno.ECONNREFUSED:
        path.unlink(missing_ok=True)
    else:
        raise StartError(
            f"cannot listen on {address}: another process listens there; "
            "stop it or give another path"
        )


def _remove_own_file(sock: socket.socket, address: Address) -> None:
    if address.path.startswith("@"):
        return
    # Whoever bound the path after us owns it now: it answers, ours does not any more.
    sock.close()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        if probe.connect_ex(address.path) == errno.ECONNREFUSED:
            with contextlib.suppress(FileNotFoundError):
                Path(address.path).unlink()


def _adopt(address: Address, backlog: int) -> Endpoint:
    """Take over a socket that our parent opened; it is listening, or can be made to."""
    try:
        sock = socket.socket(fileno=address.fd)
    except (OSError, ValueError) as error:  # ValueError: a negative number
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"--fd {address.fd}: {why}; give the number of a socket that the parent left open"
        ) from None
    try:
        if sock.type == socket.SOCK_STREAM:
            sock.listen(backlog)
        sock.setblocking(False)
        found = _address_of(sock)
        if address.scheme == "tls" and found.scheme == "tcp":
            found = replace(found, scheme="tls")
        return Endpoint(found, sock, inherited=True)
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise UsageError(f"--fd {address.fd}: {why}; give a bound, unconnected socket") from None


def _address_of(sock: socket.socket) -> Address:
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        text = os.fsdecode(name)
        return Address("unix", path="@" + text[1:] if text.startswith("\0") else text)
    return Address("udp" if sock.type == socket.SOCK_DGRAM else "tcp", host=name[0], port=name[1])
