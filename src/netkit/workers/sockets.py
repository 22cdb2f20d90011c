"""Sets of sockets: each worker has its own queue of newcomers.

On Linux sockets with SO_REUSEPORT share a port, and the kernel chooses one of
them for each newcomer by a hash of its address (socket(7)). A Unix socket or an
inherited one cannot be doubled: all workers accept from the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

from netkit import endpoints
from netkit.addresses import INTERNET, Address
from netkit.endpoints import Endpoint


class Sockets:
    """All sets of a supervisor. None is closed before `close`.

    A set that no worker needs any more still has newcomers in its queue, and the
    kernel goes on choosing it: `crew` gives it to a worker that stays.
    """

    def __init__(self, addresses: Sequence[Address], backlog: int) -> None:
        self._backlog = backlog
        self.sets: list[list[Endpoint]] = []
        with contextlib.ExitStack() as stack:
            first: list[Endpoint] = []
            for address in addresses:
                for endpoint in self._first(address):
                    stack.callback(endpoint.close)
                    first.append(endpoint)
            stack.pop_all()
        self.sets.append(first)

    @property
    def addresses(self) -> list[Address]:
        """Where it listens, with the real ports."""
        return [endpoint.address for endpoint in self.sets[0]]

    def provide(self, count: int) -> None:
        """See that there are at least so many sets. Raises `StartError`."""
        while len(self.sets) < count:
            more: list[Endpoint] = []
            for endpoint in self.sets[0]:
                if endpoint.address.scheme in INTERNET and not endpoint.inherited:
                    more += endpoints.bind(endpoint.address, backlog=self._backlog, share_port=True)
                else:
                    # A descriptor of its own, as a worker may serve several sets.
                    more.append(replace(endpoint, sock=endpoint.sock.dup()))
            self.sets.append(more)

    def close(self) -> None:
        """Close all of them."""
        for each in self.sets:
            for endpoint in each:
                endpoint.close()

    def _first(self, address: Address) -> list[Endpoint]:
        if address.scheme not in INTERNET or address.fd >= 0:
            return endpoints.bind(address, backlog=self._backlog)
        # Without sharing first: another server of the same user may share its port too,
        # and would get a part of our connections.
        for probe in endpoints.bind(address, backlog=self._backlog):
            probe.close()
        return endpoints.bind(address, backlog=self._backlog, share_port=True)
