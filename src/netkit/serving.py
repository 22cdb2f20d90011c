"""The two ways in from Python: `serve` in a loop that runs, `run` with a loop of its own."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    ExitStack,
    asynccontextmanager,
    closing,
    nullcontext,
)
from typing import Any, TypedDict, Unpack

from netkit import allocator, catalog, endpoints
from netkit.addresses import Address
from netkit.endpoints import Endpoint
from netkit.errors import CertificateError
from netkit.limits import Limits, raise_descriptor_limit
from netkit.loops import loop_factory
from netkit.observability.figures import Tally
from netkit.options import TLS, Binding
from netkit.server import Server
from netkit.signals import Told, die_by, heeded, stay_awake
from netkit.starttls import Name
from netkit.systemd.notify import Notifier
from netkit.targets import as_service
from netkit.tls import groups
from netkit.tls.unreadable import say_nothing_of_unreadable_names
from netkit.trust import Proxy

log = logging.getLogger("netkit.server")


class How(TypedDict, total=False):
    """What `Server` takes as well, by keyword."""

    limits: Limits | None
    proxy: Proxy | None
    """Whose PROXY protocol headers are believed."""
    starttls: Name | None
    """The protocol in which TLS listeners begin in the clear, until the client's STARTTLS."""
    grace: float
    """Seconds for open connections at the end."""
    spread: float
    """Seconds of them over which quiet connections are ended, one after the other."""
    tally: Tally | None
    """Counts connections, for the admin endpoint."""


@asynccontextmanager
async def serve(
    target: object,
    *,
    bind: str | Sequence[str] | Binding = "127.0.0.1:0",
    tls: bool | TLS = False,
    **how: Unpack[How],
) -> AsyncIterator[Server]:
    """Serve a target in the running loop for the length of an ``async with`` block::

        async with netkit.serve(handle, bind="127.0.0.1:0", tls=True) as server:
            print(server.addresses)

    `target` is a handler, a protocol class or factory, a `Service`, or the name of
    one (``"echo"``, ``"module:attr"``). `bind` defaults to a free port on loopback.
    `tls` True takes the development certificate; `how` is explained in `How`. Raises
    `UsageError` and `StartError`.
    """
    server = prepare(target, bind=bind, tls=tls, **how)
    async with server:
        yield server


def prepare(
    target: object,
    *,
    bind: str | Sequence[str] | Binding = "127.0.0.1:0",
    tls: bool | TLS = False,
    **how: Unpack[How],
) -> Server:
    """Bind the sockets and load the certificates, as for `serve`; nothing is accepted yet."""
    name = target if isinstance(target, str) else getattr(target, "__qualname__", repr(target))
    service = as_service(catalog.find(target) if isinstance(target, str) else target, name)
    binding = bind if isinstance(bind, Binding) else _binding(bind)
    security = (tls if isinstance(tls, TLS) else TLS(tls=tls)).of(service)
    addresses = binding.addresses(service, security.wanted)
    secured = security.load() if any(each.scheme == "tls" for each in addresses) else None
    bound = _bind_all(addresses, binding.backlog)
    return Server(service, bound, tls=secured, **how)


def _binding(bind: str | Sequence[str]) -> Binding:
    return Binding(bind=(bind,) if isinstance(bind, str) else tuple(bind))


def _bind_all(addresses: Sequence[Address], backlog: int) -> list[Endpoint]:
    with ExitStack() as stack:
        bound: list[Endpoint] = []
        for address in addresses:
            for endpoint in endpoints.bind(address, backlog=backlog):
                stack.callback(endpoint.close)
                bound.append(endpoint)
        stack.pop_all()
        return bound


def run(
    target: object,
    *,
    bind: str | Sequence[str] | Binding = "127.0.0.1:8000",
    tls: bool | TLS = False,
    loop: str = "auto",
    debug: bool = False,
    announce: Callable[[Server], None] | None = None,
    beside: Callable[[Server], AbstractAsyncContextManager[None]] | None = None,
    at_end: Callable[[], None] | None = None,
    **how: Unpack[How],
) -> None:
    """Serve a target until TERM or INT, in a loop of its own (`loop` as for ``--loop``).

    `target`, `bind`, `tls` and `how` as for `serve`. If the service has a `run` of its
    own, its return ends the server too, and `run` returns.

    The first signal drains for at most `grace` seconds (10), a second one ends that
    at once. Then the signal is raised again with its default action, so that
    the parent sees what ended the process: `run` does not return then. HUP puts changed
    certificates in force; from a terminal that is gone it means TERM. Under systemd
    all this is told to it, and its variables are taken out of the environment.

    `announce` is called when the server accepts, `at_end` last of all; what `beside`
    makes is entered before the server starts and left when it has ended. `debug` turns
    on asyncio's debug mode, which names each callback that holds up the loop for more
    than 0.1 s. Raises `UsageError` and `StartError`.
    """
    raise_descriptor_limit()
    allocator.keep_reads()
    say_nothing_of_unreadable_names()
    groups.own_process()

    async def serve_until_signalled(notifier: Notifier) -> signal.Signals | None:
        server = prepare(target, bind=bind, tls=tls, **how)
        async with nullcontext() if beside is None else beside(server):
            return await _until_signalled(server, notifier, announce)

    with (
        closing(Notifier.claim()) as notifier,
        asyncio.Runner(loop_factory=loop_factory(loop), debug=debug or None) as runner,
    ):
        number = runner.run(serve_until_signalled(notifier))
    if at_end is not None:
        at_end()
    if number is not None:
        die_by(number)


async def _until_signalled(
    server: Server, notifier: Notifier, announce: Callable[[Server], None] | None
) -> signal.Signals | None:
    def on_hangup() -> None:
        with notifier.reloading():
            reload(server)

    stay_awake()
    with heeded(server.hurry, on_hangup) as told:
        async with notifier.reporting(lambda: _standing(server)), _started(server, told):
            if not told.done():
                if announce is not None:
                    announce(server)
                notifier.ready()
            number = await _told_or_done(told, server)
            notifier.stopping()
            return number


async def _told_or_done(told: Told, server: Server) -> signal.Signals | None:
    """The signal; None if the service was done before one came."""
    done = asyncio.get_running_loop().create_task(server.done())
    try:
        either: list[asyncio.Future[Any]] = [told, done]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if told.done():
            return told.result()
        await done
        return None
    finally:
        done.cancel()


@asynccontextmanager
async def _started(server: Server, told: Told) -> AsyncIterator[None]:
    """Start it, and stop it at the end; not started if told to end while a service starts."""
    starting, main = True, asyncio.current_task()
    assert main is not None

    def give_up(_: Told) -> None:
        if starting:
            main.cancel()

    told.add_done_callback(give_up)
    try:
        await server.start()
    except asyncio.CancelledError:
        if not told.done() or main.uncancel():
            raise
    finally:
        starting = False
    try:
        yield
    finally:
        await server.stop()


def reload(server: Server) -> None:
    """Put in force what one process can without a restart, certificates, and log it."""
    try:
        changed = server.tls.reload_if_changed() if server.tls is not None else []
        log.info("reload: %s", "; ".join(changed) or "no certificate has changed")
    except CertificateError as error:
        log.error("reload: %s; the certificate loaded before stays in force", error)


def _standing(server: Server) -> str:
    return f"open connections: {len(server.connections.open)}"
