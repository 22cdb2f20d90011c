"""All relays of a server: where each client leads to, what is open, and their end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from netkit.servers.tls import identity, routes
from netkit.servers.tls.dialing import Dialer
from netkit.servers.tls.health import watch
from netkit.servers.tls.relay import Arrival, Departure, End
from netkit.servers.tls.routes import Table
from netkit.servers.tls.upstreams import Pool, Upstream
from netkit.service import Figure
from netkit.tls import client_reason

log = logging.getLogger("netkit.server")


class Relays:
    """Relays to the upstreams of a table; ``async with`` is their life.

    `introduces` says how an upstream learns of its client. `every` is in seconds: how often
    upstreams are checked, 0: never.
    """

    def __init__(
        self,
        table: Table[Pool],
        upstreams: Sequence[Upstream],
        dialer: Dialer,
        *,
        introduces: identity.Version = "off",
        every: float = 0.0,
    ) -> None:
        self._table, self._upstreams, self._dialer = table, upstreams, dialer
        self._introduces, self._every = introduces, every
        self._ends: set[End] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._checks: list[asyncio.Task[None]] = []
        self._emptied = asyncio.Event()
        self._refused = 0
        self._retried = 0

    def arrival(self) -> Arrival:
        """The protocol for a client's connection."""
        return Arrival(self._begin, self._over)

    def start(self) -> None:
        """Begin to check upstreams."""
        if self._every:
            self._checks = [
                asyncio.create_task(self._watch(each)) for each in self._upstreams if each.checked
            ]

    async def emptied(self) -> None:
        """Wait until no connection is open, to clients and to upstreams."""
        while self._ends or self._tasks:
            self._emptied.clear()
            await self._emptied.wait()

    async def close(self) -> None:
        """1. Check no more, 2. abort what is still open, 3. wait for that."""
        for check in self._checks:
            check.cancel()
        await asyncio.gather(*self._checks, return_exceptions=True)
        for task in self._tasks:
            task.cancel()
        for end in list(self._ends):
            end.transport.abort()
        await self.emptied()

    def figures(self) -> Mapping[str, Figure]:
        """Count what an operator wants to know."""
        return {
            "tls_upstream_up": self._of_each(lambda upstream: upstream.health.up),
            "tls_upstream_connections": self._of_each(lambda upstream: upstream.open),
            "tls_upstream_connections_total": self._of_each(lambda upstream: upstream.connected),
            "tls_upstream_failures_total": self._of_each(lambda upstream: upstream.failures),
            "tls_upstream_retries_total": self._retried,
            "tls_refused_total": self._refused,
        }

    def _of_each(self, number: Callable[[Upstream], float]) -> Figure:
        return {"upstream": {each.name: float(number(each)) for each in self._upstreams}}

    def _begin(self, arrival: Arrival) -> None:
        self._ends.add(arrival)
        task = asyncio.get_running_loop().create_task(self._connect(arrival))
        arrival.connecting = task
        self._tasks.add(task)
        task.add_done_callback(self._connected)

    def _connected(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._mind_emptiness()

    def _over(self, end: End) -> None:
        self._ends.discard(end)
        self._mind_emptiness()

    def _mind_emptiness(self) -> None:
        if not (self._ends or self._tasks):
            self._emptied.set()

    async def _connect(self, arrival: Arrival) -> None:
        try:
            await self._find(arrival)
        except Exception as error:  # a fault of ours: the client must not wait for ever
            log.error("a relay failed to begin", exc_info=error)
            arrival.transport.abort()

    async def _find(self, arrival: Arrival) -> None:
        client = arrival.transport
        name = identity.server_name(client)
        secured = client.get_extra_info("ssl_object")
        protocol = secured.selected_alpn_protocol() if secured is not None else None
        pool = self._table.find(name, protocol)
        if pool is None:
            self._refuse(arrival, f"no route for {routes.asked(name, protocol)}")
            return
        first = identity.introduction(self._introduces, client)
        tried: dict[Upstream, str] = {}
        while (upstream := pool.choose(tried)) is not None:
            self._retried += bool(tried)
            failure = await self._reach(arrival, upstream, first)
            if failure is None:
                return
            tried[upstream] = failure
        last = next(reversed(tried.values()), "none is up")
        self._refuse(arrival, f"no upstream: {last}")

    async def _reach(self, arrival: Arrival, upstream: Upstream, first: bytes) -> str | None:
        """Join a client to an upstream; why that could not be reached, otherwise."""
        departure = Departure(arrival, upstream, self._ends.add, self._over)
        upstream.open += 1
        try:
            greets = arrival.transport.get_extra_info("starttls")
            await self._dialer.dial(upstream, lambda: departure, first, greets)
        except OSError as error:  # TimeoutError and ssl.SSLError among them
            if departure.made:  # what comes of that is a matter of the relay
                return None
            why = words(error, upstream)
            upstream.failed(why)
            return why
        finally:
            if not departure.made:
                upstream.open -= 1
        upstream.passed()
        return None

    def _refuse(self, arrival: Arrival, why: str) -> None:
        self._refused += 1
        arrival.refuse(why)

    async def _watch(self, upstream: Upstream) -> None:
        await watch(
            lambda: self._dialer.check(upstream, identity.check(self._introduces)),
            upstream.passed,
            lambda error: upstream.failed(words(error, upstream)),
            self._every,
        )


def words(error: OSError, upstream: Upstream) -> str:
    """Why an upstream could not be reached, in one line that begins with its name."""
    # A client's --tls is our --originate.
    return client_reason(error, upstream.name).text.replace("--tls", "--originate")
