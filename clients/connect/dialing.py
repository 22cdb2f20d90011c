"""An address becomes a channel: look up, try each address, shake hands; again if asked.

Sockets are made and connected here rather than by ``create_connection``, so that a
failure is one plain `OSError` for each address tried (asyncio joins several into a
text, uvloop reports another one) and one way serves TCP, UDP and Unix sockets.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from netkit.addresses import Address
from netkit.clients.connect.channel import Channel, DatagramChannel, StreamChannel, TLSChannel
from netkit.clients.connect.failures import explain, may_pass
from netkit.errors import UsageError

Candidate = tuple[int, int, int, Any]  # family, kind, protocol, socket address
Found = tuple[int, int, int, str, Any]  # what getaddrinfo gives

FIRST_DELAY = 0.1  # a server that is just starting is met soon
LONGEST_DELAY = 2.0  # one that takes long costs next to nothing to ask


@dataclass(frozen=True, slots=True)
class Route:
    """Where to, and how."""

    address: Address
    source: Address | None = None
    """Address and port to come from; port 0 lets the kernel choose."""
    context: ssl.SSLContext | None = None
    """TLS where given; over TCP or a Unix socket."""
    servername: str = ""
    """Name asked for (SNI) and looked for in the certificate; the host where empty."""
    timeout: float = 10.0
    """Seconds for one attempt, from the look-up to the end of the TLS handshake."""

    @property
    def name(self) -> str:
        """The name that the certificate must bear."""
        return self.servername or self.address.host or "localhost"


async def dial(route: Route) -> Channel:
    """Connect once. Raises `NetworkError`; the caller closes the channel."""
    try:
        return await _attempt(route)
    except OSError as error:
        raise explain(error, route.address, route.name) from error


async def dial_until_up(
    route: Route, *, limit: float | None, waiting: Callable[[str], None]
) -> Channel:
    """Connect, trying again while the server is not there, for `limit` seconds at most.

    `waiting` is told once, with the first failure's line. An error that waiting does not
    mend (an unknown name, a certificate that is not trusted) is raised at once.
    """
    loop = asyncio.get_running_loop()
    deadline = None if limit is None else loop.time() + limit
    told = False
    for delay in delays():
        try:
            return await _attempt(route)
        except OSError as error:
            failure = explain(error, route.address, route.name)
            if not may_pass(error) or (deadline is not None and loop.time() + delay > deadline):
                raise failure from error
        if not told:
            waiting(f"{failure}; trying until it answers")
            told = True
        await asyncio.sleep(delay)  # --retry: nothing tells when a server is up
    raise AssertionError("delays() never ends")


def delays() -> Iterator[float]:
    """Seconds between attempts: doubling, then steady."""
    delay = FIRST_DELAY
    while True:
        yield delay
        delay = min(delay * 2, LONGEST_DELAY)


async def _attempt(route: Route) -> Channel:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(route.timeout):
        sock = await _connected(route)
        try:
            return await _channel(loop, sock, route)
        except BaseException:  # a cancellation too
            sock.close()
            raise


async def _channel(loop: asyncio.AbstractEventLoop, sock: socket.socket, route: Route) -> Channel:
    if sock.type == socket.SOCK_DGRAM:
        _, datagrams = await loop.create_datagram_endpoint(DatagramChannel, sock=sock)
        return datagrams
    if route.context is None:
        _, plain = await loop.create_connection(StreamChannel, sock=sock)
        return plain
    _, secure = await loop.create_connection(
        TLSChannel, sock=sock, ssl=route.context, server_hostname=route.name
    )
    return secure


async def _connected(route: Route) -> socket.socket:
    if route.address.scheme == "fd":
        return _inherited(route.address)
    source = await _own_end(route.source) if route.source else None
    failure = OSError("the name has no address")
    for family, kind, protocol, where in await _candidates(route.address, source):
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            if source:
                _bind(sock, source, route.source)
            await _connect(sock, where)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:  # a cancellation too
            sock.close()
            raise
        else:
            return sock
    raise failure


async def _candidates(address: Address, source: Found | None) -> list[Candidate]:
    if address.scheme == "unix":
        return [(socket.AF_UNIX, socket.SOCK_STREAM, 0, address.socket_path)]
    kind = socket.SOCK_DGRAM if address.scheme == "udp" else socket.SOCK_STREAM
    family = source[0] if source else socket.AF_UNSPEC
    found = await _look_up(address, family, kind)
    return [(family, kind, protocol, where) for family, kind, protocol, _, where in found]


async def _look_up(address: Address, family: int, kind: socket.SocketKind) -> list[Found]:
    loop = asyncio.get_running_loop()
    try:
        found: Any = await loop.getaddrinfo(address.host, address.port, family=family, type=kind)
        return list(found)
    except UnicodeError:  # from the idna codec: an empty or overlong part of the name
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from None


async def _connect(sock: socket.socket, where: Any) -> None:
    if sock.type == socket.SOCK_DGRAM:
        sock.connect(where)  # only notes the peer
    else:
        await asyncio.get_running_loop().sock_connect(sock, where)


async def _own_end(source: Address) -> Found:
    try:
        return (await _look_up(source, socket.AF_UNSPEC, socket.SOCK_STREAM))[0]
    except OSError as error:
        raise _unusable(source, error) from error


def _bind(sock: socket.socket, found: Found, source: Address | None) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(found[4])
    except OSError as error:
        raise _unusable(source, error) from error


def _unusable(source: Address | None, error: OSError) -> UsageError:
    own = source.authority if source else ""
    why = (error.strerror or str(error)).lower()
    return UsageError(f"--source {own}: {why}; give an address of this machine and a free port")


def _inherited(address: Address) -> socket.socket:
    try:
        sock = socket.socket(fileno=address.fd)
    except OSError as error:
        raise UsageError(f"{address} is not an open socket: {error.strerror}") from error
    if sock.type != socket.SOCK_STREAM:
        sock.detach()
        raise UsageError(f"{address} is not a stream socket: pass a connected TCP or Unix socket")
    sock.setblocking(False)
    return sock
