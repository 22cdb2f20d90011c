"""Connecting to an upstream: look up, connect, introduce the client, and shake hands if asked.

A PROXY header goes before the first byte of TLS, as receivers expect it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from netkit.addresses import Address
from netkit.readiness import connect
from netkit.servers.tls.commands import CommandTransport
from netkit.servers.tls.greeted import take_greeting
from netkit.servers.tls.upstreams import Upstream
from netkit.subprocesses.children import Spawner
from netkit.tls.connecting import greet, start_client

Candidate = tuple[socket.AddressFamily, Any]


@dataclass(frozen=True)
class Dialer:
    """How upstreams are reached; the same way for all."""

    timeout: float
    """Seconds for one attempt, from the look-up to the end of the TLS handshake."""
    spawner: Spawner
    context: ssl.SSLContext | None = None
    """TLS where given."""
    server_name: str = ""
    """Name asked for (SNI) and looked for in the certificate; the upstream's host where empty."""

    async def dial(
        self,
        upstream: Upstream,
        make: Callable[[], asyncio.Protocol],
        first: bytes = b"",
        greets: str | None = None,
    ) -> None:
        """Connect once, and let a protocol begin, after `first` was sent. Raises OSError.

        An upstream that `greets`, by this protocol, has done so by then.
        """
        async with asyncio.timeout(self.timeout):
            if greets and (self.context or upstream.address is None):
                raise OSError("behind --starttls neither a command nor TLS can be")
            if upstream.address is None:
                transport = CommandTransport(upstream.command, make(), self.spawner)
                await transport.start(first)
                return
            sock = await connected(upstream.address)
            try:
                await self._begin(sock, upstream.address, make, first, greets)
            except BaseException:  # a cancellation too
                sock.close()
                raise

    async def check(self, upstream: Upstream, first: bytes = b"") -> None:
        """Reach it as for a client, its TLS included, and take leave. Raises OSError.

        `first` says that it is for ourselves.
        """
        if upstream.address is None:
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.timeout
        async with asyncio.timeout_at(deadline):
            sock = await connected(upstream.address)
        with sock:
            if first:
                async with asyncio.timeout_at(deadline):
                    await loop.sock_sendall(sock, first)
            if self.context is not None:
                name, left = self._name(upstream.address), deadline - loop.time()
                await greet(sock, self.context, server_hostname=name, timeout=left)

    async def _begin(
        self,
        sock: socket.socket,
        address: Address,
        make: Callable[[], asyncio.Protocol],
        first: bytes,
        greets: str | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        if first:
            await loop.sock_sendall(sock, first)
        if greets:
            await take_greeting(sock, greets)
        if self.context is None:
            await loop.create_connection(make, sock=sock)
            return
        name = self._name(address)
        await start_client(make, sock, self.context, server_hostname=name, timeout=self.timeout)

    def _name(self, address: Address) -> str:
        return self.server_name or address.host or "localhost"


async def connected(address: Address) -> socket.socket:
    """A socket connected to the first of its addresses that answers. Raises OSError."""
    failure = OSError("the name has no address")
    for family, where in await _candidates(address):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            if family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await connect(sock, where)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:  # a cancellation too
            sock.close()
            raise
        else:
            return sock
    raise failure


async def _candidates(address: Address) -> list[Candidate]:
    return _known(address) or await _look_up(address)


@cache
def _known(address: Address) -> list[Candidate]:
    """Where an address is that needs no looking up; empty if it does."""
    if address.scheme == "unix":
        return [(socket.AF_UNIX, address.socket_path)]
    try:
        version = ipaddress.ip_address(address.host).version
    except ValueError:  # a name, or an address with a zone
        return []
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    return [(family, (address.host, address.port))]


async def _look_up(address: Address) -> list[Candidate]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except UnicodeError:  # from the idna codec: an empty or overlong part of the name
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from None
    return [(each[0], each[4]) for each in found]
