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
from netkit.cli import banner
from netkit.cli.settings import build, parameters
from netkit.errors import UsageError
from netkit.limits import Limits
from netkit.observability import logs
from netkit.options import TLS, Binding
from netkit.server import GRACE, Server
from netkit.service import Service
from netkit.serving import run
from netkit.targets import as_service

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

Exit status: 2 for wrong options, 3 if it cannot start; TERM and INT drain, then
end it by that signal.
"""


@dataclass(frozen=True)
class Running:
    """How the process runs."""

    loop: str = field(
        default="auto", metadata={"help": "auto, asyncio, uvloop or module:factory; auto: uvloop"}
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
    writer = logs.configure(running.log_level, running.log_format, access=running.access_log)
    try:
        run(
            as_service(found, target),
            bind=build(Binding, options),
            tls=tls,
            limits=build(Limits, options, prefix="limit_"),
            grace=running.timeout_graceful_shutdown,
            loop=running.loop,
            debug=running.debug,
            announce=lambda server: _announce(server, tls, running.log_format == "text"),
            at_end=writer.close,
        )
    except BaseException:
        writer.close()
        raise


def _announce(server: Server, tls: TLS, to_a_person: bool) -> None:
    for endpoint in server.endpoints:
        log.info("listening on %s", endpoint.address)
        if not to_a_person:
            continue
        for line in banner.commands(endpoint.address):
            trusted = f" {banner.openssl_trust()}" if line.startswith("openssl") else ""
            log.info("    try: %s%s", line, trusted if not tls.ssl_certfile else "")
    if server.tls is not None:
        for line in server.tls.warnings:
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
