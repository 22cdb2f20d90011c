"""``netkit systemd TARGET``: units that run it as a service."""

from __future__ import annotations

import inspect
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from netkit import addresses, catalog
from netkit.addresses import Address
from netkit.cli import serve
from netkit.cli.settings import build
from netkit.errors import UsageError
from netkit.options import TLS, Binding
from netkit.service import Service
from netkit.systemd.service_unit import service_unit
from netkit.systemd.socket_units import socket_units
from netkit.systemd.unit import RELOADS_BY_NOTIFYING, Credential, Unit
from netkit.targets import as_service

HELP = """Print a hardened systemd unit that runs TARGET with these very options.

It takes what netkit serve takes. With --socket systemd opens the sockets, so
that no connection is refused while the service restarts.

Examples:

  netkit systemd echo --port 7007

  netkit systemd chat --tls --socket --into .
"""

CREDENTIALS = ("ssl_certfile", "ssl_keyfile", "ssl_ca_certs")
"""Settings whose files the service's user need not be able to read."""

WHERE = ("bind", "host", "port", "uds", "fd", "backlog")
"""Settings that socket units replace."""

SECRETS = ("password", "secret", "token")
"""How the names of settings end that must not stand in a file that everybody can read."""

OWN = {
    "socket": Annotated[bool, typer.Option("--socket", help="let systemd open the sockets")],
    "into": Annotated[
        Path | None, typer.Option(help="write the units into this folder instead of printing them")
    ],
    "unit": Annotated[str, typer.Option(help="the units' name; by default from TARGET's")],
    "systemd_version": Annotated[
        int, typer.Option(help="for which systemd; 0: this machine's, else one from 253 on")
    ],
}
DEFAULTS: dict[str, Any] = {"socket": False, "into": None, "unit": "", "systemd_version": 0}


def command(argv: Sequence[str]) -> Callable[..., None]:
    """The command's function: the flags of ``serve`` for the target in `argv`, and its own."""
    like = inspect.signature(serve.command(_without_own(argv))).parameters
    taken = OWN.keys() & like.keys()
    if taken:
        raise UsageError(f"--{min(taken)}: netkit systemd has a flag of that name")

    def systemd(target: str, **options: Any) -> None:
        own = {name: options.pop(name) for name in OWN}
        options.pop("dump_config", None)
        made = _unit(target, options, like, own)
        files = {f"{made.name}.service": service_unit(made), **socket_units(made)}
        _give(files, own["into"])
        for line in _hidden(made):
            print(f"netkit: warning: {line}", file=sys.stderr)

    own = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=DEFAULTS[name], annotation=annotation
        )
        for name, annotation in OWN.items()
    ]
    everything = [*like.values(), *own]
    systemd.__signature__ = inspect.Signature(everything)  # type: ignore[attr-defined]  # read by inspect
    systemd.__annotations__ = {each.name: each.annotation for each in everything}
    systemd.__doc__ = HELP
    return systemd


def _without_own(argv: Sequence[str]) -> list[str]:
    """The words that ``serve`` would get."""
    kept: list[str] = []
    words = iter(argv)
    for word in words:
        flag, equals, _ = word.partition("=")
        name = flag.removeprefix("--").replace("-", "_")
        if not flag.startswith("--") or name not in OWN:
            kept.append(word)
        elif name != "socket" and not equals:
            next(words, "")
    return kept


def _unit(
    target: str,
    options: dict[str, Any],
    known: Mapping[str, inspect.Parameter],
    own: Mapping[str, Any],
) -> Unit:
    service = _service(target, options)
    binding, tls = build(Binding, options), build(TLS, options).of(service)
    where = [_anchored(each) for each in binding.addresses(service, tls.wanted)]
    if any(each.fd >= 0 or each.scheme == "fd" for each in where):
        raise UsageError("--fd: systemd hands sockets over by its own units; give --socket")
    secure = any(each.scheme == "tls" for each in where)
    if own["socket"]:
        options = _without_where(options, known)
    built_in = target in catalog.names()
    return Unit(
        name=_name(own["unit"], target),
        description=f"netkit {target}",
        command=[*_program(), "serve", target, *_words(options, known)],
        addresses=where,
        activated=own["socket"],
        backlog=binding.backlog,
        folder=None if built_in else Path.cwd(),
        paths=list(_paths(options)),
        own_certificates=secure and not tls.ssl_certfile,
        connections=options["limit_connections"],
        grace=options["timeout_graceful_shutdown"],
        asks_for_interfaces=service.asks_for_interfaces,
        version=own["systemd_version"] or _systemd_version(),
    )


def _service(target: str, options: Mapping[str, Any]) -> Service:
    found = catalog.find(target, app_dir=options["app_dir"], factory=options["factory"])
    if isinstance(found, type) and issubclass(found, Service):
        return build(found, options)
    return as_service(found, target)


def _without_where(
    options: Mapping[str, Any], known: Mapping[str, inspect.Parameter]
) -> dict[str, Any]:
    """What is left for the service to be told when systemd opens the sockets."""
    for name in WHERE[:-1]:
        if known[name].default not in (None, [], ()):
            raise UsageError(
                f"--socket: {options.get('config')} has {name}, so that the service would open "
                "its own; take it out there, and give it as a flag here"
            )
    return {name: value for name, value in options.items() if name not in WHERE}


def _words(options: Mapping[str, Any], known: Mapping[str, inspect.Parameter]) -> Iterator[Any]:
    """The flags that say it again, whether it was said by flag, variable or file."""
    for name, value in options.items():
        in_force = value == known[name].default and not (value and name in CREDENTIALS)
        if in_force or value is None:
            continue
        flag = "--" + name.replace("_", "-")
        if name.endswith(SECRETS):
            raise UsageError(
                f"{flag}: everybody may read a unit; leave it out, and give NETKIT_{name.upper()} "
                "in a file that EnvironmentFile= names"
            )
        if isinstance(value, bool):
            yield flag if value else f"--no-{flag[2:]}"
            continue
        for number, each in enumerate(value if isinstance(value, (list, tuple)) else [value]):
            # One word, as the value may begin with a dash; a credential is a word of its own.
            if name in CREDENTIALS:
                yield flag
                yield Credential(f"{name.replace('_', '-')}-{number}", Path(each).absolute())
            else:
                yield f"{flag}={_absolute(name, each)}"


def _absolute(name: str, value: Any) -> str:
    if name == "bind" and str(value).lower().startswith("unix:"):
        return str(_anchored(addresses.parse(value)))
    if isinstance(value, Path) and not (name == "uds" and str(value).startswith("@")):
        return str(value.absolute())
    return str(value)


def _anchored(address: Address) -> Address:
    """The same from any folder."""
    if address.scheme != "unix" or address.path.startswith("@"):
        return address
    return replace(address, path=str(Path(address.path).absolute()))


def _paths(options: Mapping[str, Any]) -> Iterator[Path]:
    for name, value in options.items():
        if isinstance(value, Path) and name not in (*CREDENTIALS, "uds"):
            yield value.absolute()
        elif isinstance(value, str) and value.startswith("unix:/"):  # other sockets than `bind`
            yield Path(addresses.parse(value).path)


def _program() -> list[str]:
    """What to type for this very netkit, from any folder."""
    script = Path(sys.argv[0]).absolute()
    if script.name == "netkit" and script.is_file():
        return [str(script)]
    return [sys.executable, "-m", "netkit"]


def _hidden(made: Unit) -> Iterator[str]:
    """What the service will need and not see, in a line each."""
    for path in dict.fromkeys(made.reads()):
        if any(path.is_relative_to(folder) for folder in ("/tmp", "/var/tmp")):  # noqa: S108  # compared, not used
            yield f"{path}: a service has a /tmp of its own; move it elsewhere"
        elif closed := next((each for each in (*path.parents, path) if _is_closed(each)), None):
            yield f"{path}: the service's user may not read {closed}; chmod o+rX it, or move it"


def _is_closed(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False  # it may come to be
    needed = 0o001 if stat.S_ISDIR(mode) else 0o004
    return mode & needed == 0


def _name(asked: str, target: str) -> str:
    place, _, attribute = target.rpartition(":")
    text = asked or f"netkit-{Path(place).stem if place.endswith('.py') else place or attribute}"
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", text)
    if asked and name != asked:
        raise UsageError(f"--unit {asked}: a name has letters, digits, - _ and . alone")
    return name


def _systemd_version() -> int:
    try:
        said = subprocess.run(
            ["systemctl", "--version"],  # noqa: S607  # wherever this machine has it
            capture_output=True, text=True, timeout=10, check=False,
        ).stdout  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        said = ""
    found = re.match(r"systemd (\d+)", said)
    return int(found[1]) if found else RELOADS_BY_NOTIFYING


def _give(files: Mapping[str, str], folder: Path | None) -> None:
    for name, text in files.items():
        if folder is None:
            print(f"# {name}\n{text}" if len(files) > 1 else text, end="")
            continue
        try:
            (folder / name).write_text(text)
        except OSError as error:
            raise UsageError(f"--into {folder}: {name}: {error.strerror}") from None
        print(folder / name)
