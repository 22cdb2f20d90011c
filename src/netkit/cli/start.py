"""What was asked for becomes a running server: alone, as a supervisor, or as its worker."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from netkit.addresses import Address
from netkit.cli import banner, standing
from netkit.cli.asked import Asked, Running
from netkit.loops import loop_factory
from netkit.observability import logs
from netkit.processes import run_crew, run_member
from netkit.server import Server
from netkit.serving import run
from netkit.tls import ServerTLS
from netkit.workers.crew import Crew
from netkit.workers.inheritance import Inheritance, inherited

if TYPE_CHECKING:
    from netkit.admin.source import Source

log = logging.getLogger("netkit.server")


def start(asked: Asked) -> None:
    """Serve until TERM or INT, then die by that signal. Raises `UsageError`, `StartError`."""
    inheritance = inherited()
    writer = logs.configure(
        asked.running.log_level,
        asked.running.log_format,
        access=asked.running.access_log,
        worker=inheritance.number if inheritance else 0,
    )
    try:
        if inheritance is not None:
            _as_member(asked, inheritance, writer.close)
        elif asked.workers > 1 or asked.running.reload:
            _as_crew(asked, writer.close)
        else:
            _alone(asked, writer.close)
    except BaseException:  # whatever ends it, what was logged is written
        writer.close()
        raise


def _alone(asked: Asked, at_end: Callable[[], None]) -> None:
    def announce(server: Server) -> None:
        _announce([each.address for each in server.endpoints], asked)
        _warn(server.tls)

    tally = asked.tally()

    @asynccontextmanager
    async def beside(server: Server) -> AsyncIterator[None]:
        def source() -> Source:
            from netkit.admin.source import Alone

            assert tally is not None
            return Alone(server, tally)

        async with asked.watching.stalls(), asked.watching.administered(source):
            yield

    run(
        asked.service,
        bind=asked.binding,
        tls=asked.tls,
        limits=asked.limits,
        proxy=asked.proxy,
        starttls=asked.clear.starttls,
        grace=asked.running.timeout_graceful_shutdown,
        spread=asked.running.drain_spread,
        tally=tally,
        loop=asked.running.loop,
        debug=asked.running.debug,
        announce=announce,
        beside=beside,
        at_end=at_end,
    )


def _as_crew(asked: Asked, at_end: Callable[[], None]) -> None:
    addresses = asked.addresses()
    loop_factory(asked.running.loop)
    if any(each.scheme == "tls" for each in addresses):
        _warn(asked.tls.load())  # bad files, and the development certificate: said or made once
    standing.remember(asked.supervised())

    @asynccontextmanager
    async def beside(crew: Crew) -> AsyncIterator[None]:
        def source() -> Source:
            from netkit.admin.crew import Everyone

            return Everyone(crew)

        async with asked.watching.administered(source), _reloading(asked.running):
            yield

    run_crew(
        addresses,
        asked.workers,
        backlog=asked.binding.backlog,
        health=asked.health,
        grace=asked.running.timeout_graceful_shutdown,
        announce=lambda bound: _announce(bound, asked),
        beside=beside,
        at_end=at_end,
        # One that is replaced while it begins must not leave any of an old source behind.
        keeps_bytecode=not asked.running.reload,
    )


def _reloading(running: Running) -> AbstractAsyncContextManager[None]:
    if not running.reload:
        return nullcontext()
    from netkit.workers.reloading import reloading

    return reloading(running.reload_dir or (running.app_dir or Path(),))


def _as_member(asked: Asked, inheritance: Inheritance, at_end: Callable[[], None]) -> None:
    standing.warn(asked.supervised())

    def prepare(_: Inheritance) -> Server:
        endpoints = inheritance.endpoints()
        secure = any(each.address.scheme == "tls" for each in endpoints)
        return Server(
            asked.service,
            endpoints,
            tls=asked.tls.load() if secure else None,
            limits=asked.limits,
            proxy=asked.proxy,
            starttls=asked.clear.starttls,
            grace=asked.running.timeout_graceful_shutdown,
            spread=asked.running.drain_spread,
            tally=asked.tally(),
            account=inheritance.account(),
        )

    run_member(
        inheritance,
        prepare,
        loop=asked.running.loop,
        debug=asked.running.debug,
        beside=asked.watching.stalls,
        at_end=at_end,
    )


def _announce(addresses: Sequence[Address], asked: Asked) -> None:
    for address in addresses:
        log.info("listening on %s", address)
        if asked.running.log_format != "text":
            continue
        general = banner.commands(address, asked.clear.starttls)
        for line in asked.service.commands(address) or general:
            trusted = f" {banner.openssl_trust()}" if line.startswith("openssl") else ""
            log.info("    try: %s%s", line, trusted if not asked.tls.ssl_certfile else "")


def _warn(tls: ServerTLS | None) -> None:
    for line in tls.warnings if tls is not None else ():
        log.warning("%s", line)
