"""What was asked for becomes a running server: alone, as a supervisor, or as its worker."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from netkit.addresses import Address
from netkit.cli import banner, standing
from netkit.cli.settings import build
from netkit.cli.watching import Watching
from netkit.errors import UsageError
from netkit.limits import Limits
from netkit.loops import loop_factory
from netkit.observability import logs
from netkit.observability.figures import Tally
from netkit.options import TLS, Binding
from netkit.processes import run_crew, run_member, worker_count
from netkit.server import GRACE, Server
from netkit.service import Service
from netkit.serving import run
from netkit.targets import as_service
from netkit.tls import ServerTLS
from netkit.trust import Proxy
from netkit.workers.crew import Crew, Health
from netkit.workers.inheritance import Inheritance, inherited

if TYPE_CHECKING:
    from netkit.admin.source import Source

log = logging.getLogger("netkit.server")


@dataclass(frozen=True)
class Running:
    """How the process runs."""

    loop: str = field(
        default="auto", metadata={"help": "auto, asyncio, uvloop or module:factory; auto: uvloop"}
    )
    workers: str = field(
        default="1",
        metadata={"help": "processes behind the same addresses; auto: one for each core"},
    )
    reload: bool = field(
        default=False,
        metadata={"help": "for development: replace the workers when a source file changes"},
    )
    reload_dir: tuple[Path, ...] = field(
        default=(), metadata={"help": "folder to watch for that; repeatable  [default: this one]"}
    )
    timeout_graceful_shutdown: float = field(
        default=GRACE, metadata={"help": "seconds for open connections at shutdown"}
    )
    debug: bool = field(
        default=False,
        metadata={"help": "asyncio's debug mode; names callbacks that block the loop"},
    )
    log_level: Literal["debug", "info", "warning", "error"] = field(
        default="info", metadata={"help": "least level to log"}
    )
    log_format: Literal["text", "json"] = field(
        default="text", metadata={"help": "lines for people, or JSON"}
    )
    access_log: bool = field(default=True, metadata={"help": "one line per connection at its end"})
    app_dir: Path | None = field(
        default=None, metadata={"help": "folder in which to look for modules  [default: this one]"}
    )
    factory: bool = field(
        default=False, metadata={"help": "TARGET is a function that makes the target"}
    )

    def __post_init__(self) -> None:
        if not self.timeout_graceful_shutdown >= 0:  # so that nan fails too
            raise UsageError(
                f"--timeout-graceful-shutdown {self.timeout_graceful_shutdown:g}: "
                "give 0 or more seconds"
            )
        if self.reload_dir and not self.reload:
            raise UsageError("--reload-dir: nothing is reloaded without --reload; add it")
        if self.reload:
            _require_watchfiles()
            for folder in self.reload_dir:
                if not folder.is_dir():
                    raise UsageError(f"--reload-dir {folder}: no such folder")


PANELS: tuple[tuple[type, str, str], ...] = (
    (Binding, "", "Where"),
    (TLS, "", "TLS"),
    (Limits, "limit_", "Limits"),
    (Proxy, "", "Where"),
    (Running, "", "Process"),
    (Watching, "", "Watching"),
    (Health, "worker_", "Workers"),
)
"""What every server can be told: dataclass, prefix of its flags, heading."""


@dataclass(frozen=True)
class Asked:
    """What is asked for, by whatever way it came."""

    service: Service
    binding: Binding
    tls: TLS
    limits: Limits
    proxy: Proxy
    running: Running
    watching: Watching
    health: Health
    workers: int
    """How many processes."""

    @classmethod
    def from_options(cls, found: object, target: str, options: Mapping[str, Any]) -> Asked:
        """From the target that was found under this name. Raises `UsageError`."""
        tls = build(TLS, options)
        if tls.ssl_ca_certs is not None and not tls.wanted:
            raise UsageError("--ssl-ca-certs: client certificates need TLS; add --tls")
        service, running = as_service(found, target), build(Running, options)
        return cls(
            service,
            build(Binding, options),
            tls,
            build(Limits, options, prefix="limit_"),
            build(Proxy, options),
            running,
            build(Watching, options),
            build(Health, options, prefix="worker_"),
            worker_count(running.workers, service, target),
        )

    def supervised(self) -> dict[str, Any]:
        """What the supervisor holds while workers come and go, by key."""
        return {
            **standing.by_key(self.binding),
            "tls": self.tls.wanted,
            "workers": self.running.workers,
            "timeout-graceful-shutdown": self.running.timeout_graceful_shutdown,
            "admin": self.watching.admin,
            **standing.by_key(self.health, "worker_"),
        }

    def tally(self) -> Tally | None:
        """What counts connections, if anybody can ask."""
        return None if self.watching.admin is None else Tally()

    def addresses(self) -> list[Address]:
        """Where to listen. Raises `UsageError`."""
        return self.binding.addresses(self.service, self.tls.wanted)


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
    except BaseException:
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
        grace=asked.running.timeout_graceful_shutdown,
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
    )


def _reloading(running: Running) -> AbstractAsyncContextManager[None]:
    if not running.reload:
        return nullcontext()
    from netkit.workers.reloading import reloading

    return reloading(running.reload_dir or (running.app_dir or Path(),))


def _require_watchfiles() -> None:
    try:
        import watchfiles  # noqa: F401  # only whether it can be imported
    except ImportError:
        raise UsageError(
            "--reload: watchfiles is not installed: pip install 'netkit-serve[reload]'"
        ) from None


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
            grace=asked.running.timeout_graceful_shutdown,
            tally=asked.tally(),
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
        for line in banner.commands(address):
            trusted = f" {banner.openssl_trust()}" if line.startswith("openssl") else ""
            log.info("    try: %s%s", line, trusted if not asked.tls.ssl_certfile else "")


def _warn(tls: ServerTLS | None) -> None:
    for line in tls.warnings if tls is not None else ():
        log.warning("%s", line)
