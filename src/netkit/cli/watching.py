"""What watches a server that runs: the admin endpoint, and who holds up the loop."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING

from netkit.addresses import Address, parse
from netkit.errors import UsageError
from netkit.observability.stalls import THRESHOLD, Stalls

if TYPE_CHECKING:
    from netkit.admin.source import Source

log = logging.getLogger("netkit.server")


@dataclass(frozen=True)
class Watching:
    """How the server is watched while it runs."""

    admin: str | None = field(
        default=None,
        metadata={"help": "HOST:PORT or unix:PATH for metrics, health and connections over HTTP"},
    )
    warn_stall: float = field(
        default=THRESHOLD,
        metadata={"help": "seconds without a turn of the loop that are worth a line; 0: never"},
    )

    def __post_init__(self) -> None:
        if not self.warn_stall >= 0:  # so that nan fails too
            raise UsageError(f"--warn-stall {self.warn_stall:g}: give 0 (never) or more seconds")
        if self.admin is not None:
            self.address()
            require_packages()

    def address(self) -> Address | None:
        """Where the admin endpoint listens. Raises `UsageError`."""
        if self.admin is None:
            return None
        address = parse(self.admin, flag="--admin")
        if address.scheme not in ("tcp", "unix"):
            raise UsageError(f"--admin {self.admin}: give HOST:PORT or unix:PATH")
        return address

    @asynccontextmanager
    async def stalls(self) -> AsyncIterator[None]:
        """Watch the running loop for the length of the block."""
        if not self.warn_stall:
            yield
            return
        stalls = Stalls(self.warn_stall)
        stalls.start()
        try:
            yield
        finally:
            stalls.stop()

    @asynccontextmanager
    async def administered(self, make_source: Callable[[], Source]) -> AsyncIterator[None]:
        """Answer at the admin address, if there is one, for the length of the block."""
        async with AsyncExitStack() as stack:
            address = self.address()
            if address is not None:
                from netkit.admin.http import administering

                found = await stack.enter_async_context(administering(make_source(), address))
                log.info("admin on %s", found)
            yield


def require_packages() -> None:
    """Raise `UsageError` if what the admin endpoint needs is not installed."""
    for package in ("aiohttp", "prometheus_client"):
        # Not imported: each worker asks too, and only their supervisor answers at the endpoint.
        if find_spec(package) is None:
            raise UsageError(
                f"--admin: {package} is not installed: pip install 'netkit-serve[admin]'"
            )
