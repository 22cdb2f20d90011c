"""``netkit serve TARGET``: run a server."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from netkit import catalog
from netkit.addresses import Address
from netkit.cli import banner
from netkit.cli.settings import build, parameters
from netkit.errors import UsageError
from netkit.limits import Limits
from netkit.loops import loop_factory
from netkit.observability import logs
from netkit.options import TLS, Binding
from netkit.processes import run_crew, run_member, worker_count
from netkit.server import GRACE, Server
from netkit.service import Service
from netkit.serving import run
from netkit.targets import as_service
from netkit.tls import ServerTLS
from netkit.workers.crew import Health
from netkit.workers.inheritance import Inheritance, inherited

log = logging.getLogger("netkit.server")

HELP = """Run a server: a built-in one, or your own.

TARGET is a name ({names}), module:attr, or path/to/file.py:attr. What it names
is an async def handle(reader, writer), a Protocol or DatagramProtocol class, or
a netkit.Service. A service's own flags stand after TARGET:
netkit serve chat --help lists chat's.

Examples:

  netkit serve echo

  netkit serve chat --tls

  netkit serve app.py:handle --port 9000 --loop uvloop

  netkit serve app:Server --bind tcp://127.0.0.1:9000 --bind unix:/tmp/app.sock

  netkit serve app.py:handle --workers auto

Exit status: 2 for wrong options, 3 if it cannot start; TERM and INT drain, then
end it by that signal. With several workers HUP replaces them without losing a
connection, TTIN and TTOU add one and take one away.
"""


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


PANELS: tuple[tuple[type, str, str], ...] = (
    (Binding, "", "Where"),
    (TLS, "", "TLS"),
    (Limits, "limit_", "Limits"),
    (Running, "", "Process"),
    (Health, "worker_", "Workers"),
)


def command(argv: Sequence[str]) -> Callable[..., None]:
    """The command's function, with the flags of the service that `argv` names as well."""
    general = [
        parameter
        for cls, prefix, panel in PANELS
        for parameter in parameters(cls, prefix=prefix, panel=panel)
    ]
    found = _named(argv, general)
    service = found if isinstance(found, type) and issubclass(found, Service) else None
    own: list[inspect.Parameter] = []
    if service is not None:
        own = parameters(service, panel=f"{service.__name__}: {_first_line(service)}")
        _check_names(service, own, general)

    def serve(target: str, **options: Any) -> None:
        _serve(target, found if service is None else build(service, options), options)

    first = inspect.Parameter(
        "target",
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        annotation=Annotated[
            str, typer.Argument(metavar="TARGET", help="name, module:attr or file.py:attr")
        ],
    )
    everything = [first, *own, *general]
    serve.__signature__ = inspect.Signature(everything)  # type: ignore[attr-defined]  # read by inspect
    serve.__annotations__ = {each.name: each.annotation for each in everything}
    serve.__doc__ = HELP.format(names=", ".join(catalog.names()))
    return serve


def _serve(target: str, found: object | None, options: dict[str, Any]) -> None:
    running = build(Running, options)
    if found is None:  # raises, and says why
        found = catalog.find(target, app_dir=running.app_dir, factory=running.factory)
    tls = build(TLS, options)
    if tls.ssl_ca_certs is not None and not tls.wanted:
        raise UsageError("--ssl-ca-certs: client certificates need TLS; add --tls")
    asked = Asked(
        as_service(found, target),
        build(Binding, options),
        tls,
        build(Limits, options, prefix="limit_"),
        running,
    )
    inheritance = inherited()
    count = worker_count(running.workers, asked.service, target)
    health = build(Health, options, prefix="worker_")
    writer = logs.configure(
        running.log_level,
        running.log_format,
        access=running.access_log,
        worker=inheritance.number if inheritance else 0,
    )
    try:
        if inheritance is not None:
            _as_member(asked, inheritance, writer.close)
        elif count > 1:
            _as_crew(asked, count, health, writer.close)
        else:
            _alone(asked, writer.close)
    except BaseException:
        writer.close()
        raise


@dataclass(frozen=True)
class Asked:
    """What the command line asks for."""

    service: Service
    binding: Binding
    tls: TLS
    limits: Limits
    running: Running


def _alone(asked: Asked, at_end: Callable[[], None]) -> None:
    def announce(server: Server) -> None:
        _announce([each.address for each in server.endpoints], asked)
        _warn(server.tls)

    run(
        asked.service,
        bind=asked.binding,
        tls=asked.tls,
        limits=asked.limits,
        grace=asked.running.timeout_graceful_shutdown,
        loop=asked.running.loop,
        debug=asked.running.debug,
        announce=announce,
        at_end=at_end,
    )


def _as_crew(asked: Asked, count: int, health: Health, at_end: Callable[[], None]) -> None:
    addresses = asked.binding.addresses(asked.service, asked.tls.wanted)
    loop_factory(asked.running.loop)
    if any(each.scheme == "tls" for each in addresses):
        _warn(asked.tls.load())  # bad files, and the development certificate: said or made once
    run_crew(
        addresses,
        count,
        backlog=asked.binding.backlog,
        health=health,
        grace=asked.running.timeout_graceful_shutdown,
        announce=lambda bound: _announce(bound, asked),
        at_end=at_end,
    )


def _as_member(asked: Asked, inheritance: Inheritance, at_end: Callable[[], None]) -> None:
    def prepare(_: Inheritance) -> Server:
        endpoints = inheritance.endpoints()
        secure = any(each.address.scheme == "tls" for each in endpoints)
        return Server(
            asked.service,
            endpoints,
            tls=asked.tls.load() if secure else None,
            limits=asked.limits,
            grace=asked.running.timeout_graceful_shutdown,
        )

    run_member(
        inheritance, prepare, loop=asked.running.loop, debug=asked.running.debug, at_end=at_end
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


def _named(argv: Sequence[str], general: Sequence[inspect.Parameter]) -> object | None:
    """The target that a command line names, among options; None if it cannot be found."""
    switches = {"--help"} | {
        "--" + each.name.replace("_", "-") for each in general if each.annotation.__origin__ is bool
    }
    values: dict[str, str] = {}
    words = iter(argv)
    for word in words:
        if not word.startswith("-"):
            app_dir = Path(values["--app-dir"]) if "--app-dir" in values else None
            try:
                return catalog.find(word, app_dir=app_dir, factory="--factory" in argv)
            except UsageError:
                return None  # said when the command runs
        if "=" not in word and word not in switches and not word.startswith("--no-"):
            values[word] = next(words, "")
    return None


def _check_names(
    service: type, own: Sequence[inspect.Parameter], general: Sequence[inspect.Parameter]
) -> None:
    taken = {each.name for each in own} & {each.name for each in general}
    if taken:
        raise UsageError(
            f"{service.__name__}.{min(taken)}: netkit serve has a flag of that name; "
            "give the setting another"
        )


def _first_line(service: type) -> str:
    return (inspect.getdoc(service) or "settings").splitlines()[0].rstrip(".")
