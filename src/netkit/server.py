"""One service in one loop: start, serve, drain, stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from netkit.connections import Connection, Connections
from netkit.drain import Drain
from netkit.endpoints import Endpoint
from netkit.errand import Errand
from netkit.errors import CertificateError, NetkitError, StartError, UsageError
from netkit.handshakes import Handshake, handshakes
from netkit.introductions import Introduction, introducing
from netkit.ledger import Account
from netkit.limits import Limits
from netkit.linking import links
from netkit.listeners import AcceptLoop, Listener, Take, adopting, listener
from netkit.observability.access import Ended, access_log
from netkit.observability.figures import Tally
from netkit.plurals import counted
from netkit.pressure import looks
from netkit.service import ProtocolFactory, Service
from netkit.starttls import DIALOGUES, Name
from netkit.starttls.cleartext import Cleartext
from netkit.sweep import Sweep
from netkit.tls import ServerTLS
from netkit.trust import Proxy

log = logging.getLogger("netkit.server")

GRACE = 10.0
"""Seconds that open connections get to finish at shutdown, unless told otherwise."""


class Server:
    """A service on its bound sockets.

    ``async with`` starts it and, at the end, drains it for at most `grace`
    seconds, ending quiet connections evenly over `spread` seconds of it. It owns the
    endpoints from the beginning and closes them at the end.
    Peers that `proxy` trusts begin with a PROXY protocol header; whom that names
    is their peer for handlers, limits and the log. With `starttls`, TLS listeners begin
    in the clear, as that protocol has it. One of several workers has an
    `account`, so that limits hold for all of them together.
    Raises `StartError` if the service's lifespan fails, `UsageError` if the
    service does not serve what an endpoint carries.
    """

    def __init__(
        self,
        service: Service,
        endpoints: Sequence[Endpoint],
        *,
        tls: ServerTLS | None = None,
        limits: Limits | None = None,
        proxy: Proxy | None = None,
        starttls: Name | None = None,
        grace: float = GRACE,
        spread: float = 0.0,
        tally: Tally | None = None,
        account: Account | None = None,
    ) -> None:
        self.service = service
        self.endpoints = list(endpoints)
        self.tls = tls
        self.limits = limits or Limits()
        self.proxy = proxy or Proxy()
        self.starttls = starttls
        self.grace = grace
        self.spread = spread
        self.tally = tally
        self.account = account
        self._listeners: list[Listener] = []
        self._datagrams: list[asyncio.DatagramTransport] = []
        self._errand = Errand(service)
        self._stopping: asyncio.Task[None] | None = None
        self._entered = False
        self.accepting = False
        """Whether it has started, and not begun to stop."""

    @property
    def addresses(self) -> list[str]:
        """URLs it listens on, with the real ports: ``tcp://127.0.0.1:8000``."""
        return [str(endpoint.address) for endpoint in self.endpoints]

    @property
    def started(self) -> bool:
        """Whether it has connections to speak of."""
        return self.accepting or self._stopping is not None

    @property
    def connections(self) -> Connections:
        """Its connections, once it has started."""
        return self._connections

    async def start(self) -> None:
        """Enter the service's lifespan, then accept."""
        self._connections = Connections(
            self.limits, self._pause, self._resume, self._at_end(), self.account
        )
        self._drain = Drain(self._connections, self.spread)
        self._sweep = Sweep(
            self._connections, [self._renew, *looks(self._connections, self.account)]
        )
        try:
            for endpoint in self.endpoints:
                self.service.admits(endpoint.address, verified=self._verifies(endpoint))
            self._check_starttls()
            await self._enter()
            for endpoint in self.endpoints:
                await self._serve(endpoint)
        except BaseException:  # a cancellation too: what was opened is closed
            await self.stop(0)
            raise
        self._resume()
        self._sweep.start()
        self._errand.start()
        self.accepting = True

    async def done(self) -> None:
        """Wait until the service's own `run` has returned; for ever if it has none.

        Raises the `NetkitError` by which that ended. The server goes on until `stop`.
        """
        await self._errand.done()

    async def stop(self, grace: float | None = None, *, patient: bool = False) -> None:
        """Shut down in order; safe to call twice, the second call waits for the first.

        1. accept no more, 2. tell the service, 3. let connections end within
        `grace` seconds (default: the server's), 4. cut the rest, 5. close the
        sockets, 6. leave the service's lifespan. It does not wait for tasks that
        the service has started by itself: those are the lifespan's to end.

        A quiet connection is soon ended, but with `patient` only with the grace
        period; a second call without it ends the patience.
        """
        self.accepting = False
        if not patient:
            self._drain.lose_patience()
        if self._stopping is None:
            seconds = self.grace if grace is None else grace
            self._stopping = asyncio.get_running_loop().create_task(self._stop(seconds))
        await asyncio.shield(self._stopping)

    def cut(self, number: int) -> bool:
        """Cut one connection, for the operator; False if none of that number is open."""
        connection = self._connections.open.get(number)
        if connection is None:
            return False
        connection.why = connection.why or "cut by the operator"
        connection.cut()
        return True

    def hurry(self) -> None:
        """End the grace period now."""
        self._drain.hurry()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def _enter(self) -> None:
        try:
            await self.service.__aenter__()
        except (NetkitError, asyncio.CancelledError):
            raise
        except Exception as error:  # an author's code may raise anything
            name = type(self.service).__name__
            raise StartError(f"{name} could not start: {type(error).__name__}: {error}") from error
        self._entered = True

    def _verifies(self, endpoint: Endpoint) -> bool:
        """Whether TLS demands client certificates there."""
        if self.tls is None or endpoint.address.scheme != "tls":
            return False
        return self.tls.context.verify_mode is ssl.CERT_REQUIRED

    def _check_starttls(self) -> None:
        # Whoever asked for it counts on TLS: a plain listener is not what was meant.
        if self.starttls and not any(each.address.scheme == "tls" for each in self.endpoints):
            raise UsageError(f"--starttls {self.starttls}: no listener here has TLS; add --tls")
        if self.starttls not in (None, *DIALOGUES):
            raise UsageError(f"--starttls {self.starttls}: give one of {', '.join(DIALOGUES)}")

    async def _serve(self, endpoint: Endpoint) -> None:
        if endpoint.datagrams:
            await self._serve_datagrams(endpoint)
        elif self.proxy.concerns(endpoint.sock):
            self._listeners.append(AcceptLoop(endpoint.sock, self._introductions(endpoint)))
        elif endpoint.address.scheme == "tls":
            self._listeners.append(AcceptLoop(endpoint.sock, taking(self._securing(endpoint))))
        else:
            self._listeners.append(listener(endpoint.sock, self._links(endpoint)))

    async def _serve_datagrams(self, endpoint: Endpoint) -> None:
        factory = self.service.datagram()
        if factory is None:
            raise UsageError(f"--bind {endpoint.address}: this server has no datagrams; use tcp://")
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(factory, sock=endpoint.sock)
        self._datagrams.append(transport)

    def _links(self, endpoint: Endpoint) -> ProtocolFactory:
        target = self.service.stream()
        url = str(endpoint.address)
        if target is None:
            raise UsageError(f"--bind {url}: this server has datagrams only; use udp://")
        return links(self._connections, url, target)

    def _securing(self, endpoint: Endpoint) -> Callable[[], Handshake | Cleartext]:
        """What begins a TLS connection there."""
        url = str(endpoint.address)
        if self.tls is None:
            raise UsageError(f"--bind {url}: TLS needs a certificate; add --tls")
        handshake = handshakes(
            self._connections, url, self.tls, self._links(endpoint),
            keeps_hello=self.service.keeps_hello, starttls=self.starttls,
        )  # fmt: skip
        if self.starttls is None:
            return handshake
        dialogue, host = DIALOGUES[self.starttls], socket.gethostname()
        return lambda: Cleartext(self._connections, url, dialogue(host), handshake)

    def _introductions(self, endpoint: Endpoint) -> Take:
        url, make_link = str(endpoint.address), self._links(endpoint)
        secure = self._securing(endpoint) if endpoint.address.scheme == "tls" else None
        others = adopting(make_link) if secure is None else taking(secure)
        return introducing(
            self.proxy, others, lambda: Introduction(self._connections, url, secure, make_link)
        )

    def _at_end(self) -> Ended:
        """What is done at each connection's end: its line in the log, and its count."""
        log_it, count_it = access_log(), self.tally
        if count_it is None:
            return log_it

        def ended(connection: Connection, error: BaseException | None) -> None:
            count_it(connection, error)
            log_it(connection, error)

        return ended

    def _pause(self) -> None:
        open_now = counted(len(self._connections.open), "connection")
        log.debug("accepting pauses at %s: %s", open_now, *self._connections.gate.reasons)
        for each in self._listeners:
            each.pause()

    def _resume(self) -> None:
        if self._stopping is not None:  # what is closed stays so
            return
        for each in self._listeners:
            each.resume()

    def _renew(self) -> None:
        """Serve certificates that were replaced on disk to the next handshakes."""
        if self.tls is None:
            return
        try:
            for line in self.tls.reload_if_changed(patient=True):
                log.info("%s", line)
        except CertificateError as error:
            log.error("%s; the certificate loaded before stays in force", error)

    async def _stop(self, grace: float) -> None:
        self._sweep.stop()
        for each in self._listeners:
            await each.close()
        await self._drain.run(grace, self.service if self._entered else None, self._errand.over())
        await self._errand.end()
        for transport in self._datagrams:
            transport.close()
        for endpoint in self.endpoints:
            endpoint.close()
        if self._entered:
            with contextlib.suppress(asyncio.CancelledError):
                try:
                    await self.service.__aexit__(None, None, None)
                except Exception as error:  # as above: the rest is still closed
                    log.error("%s's end failed", type(self.service).__name__, exc_info=error)


def taking(make: Callable[[], Handshake | Cleartext]) -> Take:
    """Make what takes over accepted sockets, each with an object of its own."""
    return lambda conn, peername: make().take(conn, peername)
