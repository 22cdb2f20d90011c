"""``netkit serve TARGET``: the command, with the flags of its target."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from netkit import catalog
from netkit.cli import config, line
from netkit.cli.asked import PANELS, Asked
from netkit.cli.config import File
from netkit.cli.dump import dump
from netkit.cli.settings import Setting, build, settings
from netkit.cli.start import start
from netkit.errors import NetkitError, UsageError
from netkit.loops import loop_factory
from netkit.service import Service

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

  netkit serve chat --tls --dump-config > chat.toml

  netkit serve --config chat.toml

A setting may come from a flag, from the environment (--limit-idle is
NETKIT_LIMIT_IDLE) or from the file (limit-idle = 60, and target for TARGET);
a flag goes before the environment, and that before the file.

Exit status: 2 for wrong options, 3 if it cannot start; TERM and INT drain, then
end it by that signal. HUP takes up changed certificates; with several workers it
replaces them, with code and settings as they are by then, and no newcomer is
refused. TTIN and TTOU add a worker and take one away.
"""

TARGET = Setting("target", str, optional=True, help="name, module:attr or file.py:attr")
GENERAL = [
    setting
    for cls, prefix, panel in PANELS
    for setting in settings(cls, prefix=prefix, panel=panel)
]
APP_DIR, FACTORY = (
    next(each for each in GENERAL if each.name == name) for name in ("app_dir", "factory")
)


@dataclass(frozen=True)
class Chosen:
    """What the command line, the environment and the file say of the target."""

    config: Path | None
    target: str | None
    app_dir: Path | None
    factory: bool

    @classmethod
    def by(cls, said: line.Line, path: Path | None, file: File) -> Chosen:
        """By the first of them that says anything."""
        factory = said.yes(FACTORY.flag, FACTORY.variable)
        return cls(
            path,
            said.target or file.get(TARGET),
            said.path(APP_DIR.flag, APP_DIR.variable) or file.get(APP_DIR),
            bool(file.get(FACTORY) if factory is None else factory),
        )

    def find(self) -> object:
        """The target. Raises `UsageError`."""
        if self.target is None:
            raise UsageError(
                "TARGET is missing: give a name, module:attr or file.py:attr, "
                "or --config with a file that has a target (netkit serve --help)"
            )
        return catalog.find(self.target, app_dir=self.app_dir, factory=self.factory)

    def check(self, target: str, options: Mapping[str, Any]) -> None:
        """Raise `UsageError` if Typer has read the line in another way."""
        read = Chosen(options["config"], target, options["app_dir"], options["factory"])
        if read != self:
            raise UsageError(
                f"{target}: TARGET, --config, --app-dir and --factory decide which other flags "
                "there are; put them first"
            )


def command(argv: Sequence[str]) -> Callable[..., None]:
    """The command's function for the words after ``serve``, with its target's own flags.

    Raises `UsageError` for what is wrong with the target or the file. Without words,
    as when another verb is run, or when help is wanted, the function raises it instead.
    """
    said = line.read(argv, GENERAL, ["--config"])
    try:
        found = _for_target(said)
    except UsageError as error:
        if argv and not said.help:
            raise
        found = _refusing(error)
    if said.help:  # all names: a look at every installed package
        found.__doc__ = HELP.format(names=", ".join(catalog.names()))
    return found


def _for_target(said: line.Line) -> Callable[..., None]:
    path = said.path("--config", "NETKIT_CONFIG")
    file = _file(said, path)
    chosen = Chosen.by(said, path, file)
    try:
        found = chosen.find()
    except UsageError as error:
        by = f"{path}: target: " if chosen.target != said.target else ""
        raise UsageError(f"{by}{error}") from error
    service = found if isinstance(found, type) and issubclass(found, Service) else None
    own = [] if service is None else _own(service)
    everything = [TARGET, *own, *GENERAL]
    values = file.values(everything, chosen.target or "")

    def serve(target: str, **options: Any) -> None:
        chosen.check(target, options)
        with file.blamed(values, options):
            made = found if service is None else build(service, options)
            asked = Asked.from_options(made, target, options)
            if not options["dump_config"]:
                start(asked)
                return
            asked.addresses()
            loop_factory(asked.running.loop)
            _print(dump(everything, {**options, "target": target}, Path.cwd()))

    return _signed(serve, chosen.target, [*own, *GENERAL], values)


def _refusing(error: UsageError) -> Callable[..., None]:
    def serve(target: str, **options: Any) -> None:
        raise error

    return _signed(serve, None, GENERAL, {})


def _file(said: line.Line, path: Path | None) -> File:
    if path is None:
        return File()
    flags = said.flags.get("--config", [])
    if len(flags) > 1:
        raise UsageError(f"--config {path}: {len(flags)} files; give one")
    return config.read(path, "--config" if flags else "NETKIT_CONFIG")


def _own(service: type[Service]) -> list[Setting]:
    """The settings of the service itself. Raises `UsageError` for a name that is taken."""
    doc = (inspect.getdoc(service) or "settings").splitlines()[0].rstrip(".")
    own = settings(service, panel=f"{service.__name__}: {doc}")
    taken = {each.name for each in own} & {
        *(each.name for each in GENERAL),
        *("target", "config", "dump_config", "help"),
    }
    if taken:
        raise UsageError(
            f"{service.__name__}.{min(taken)}: netkit serve has a flag of that name; "
            "give the setting another"
        )
    return own


def _signed(
    serve: Callable[..., None],
    target: str | None,
    listed: Sequence[Setting],
    values: dict[str, Any],
) -> Callable[..., None]:
    """The same function for Typer, which reads flags, defaults and help from the signature."""
    everything = [_target(target), *(each.parameter(values) for each in listed), *_about_files()]
    serve.__signature__ = inspect.Signature(everything)  # type: ignore[attr-defined]  # read by inspect
    serve.__annotations__ = {each.name: each.annotation for each in everything}
    return serve


def _target(default: str | None) -> inspect.Parameter:
    return inspect.Parameter(
        "target",
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=default,
        annotation=Annotated[
            str | None, typer.Argument(metavar="TARGET", help=TARGET.help, show_default=False)
        ],
    )


def _about_files() -> Iterator[inspect.Parameter]:
    """The flags that cannot stand in a file."""
    panel = "Settings in a file"
    yield Setting(
        "config", Path, optional=True, help="TOML file with settings", panel=panel
    ).parameter({})
    wanted = typer.Option(
        "--dump-config",
        help="print all settings as such a file, and do not start",
        rich_help_panel=panel,
    )
    yield inspect.Parameter(
        "dump_config",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[bool, wanted],
    )


def _print(text: str) -> None:
    """To standard output in TOML's UTF-8, whatever the terminal's encoding."""
    try:
        with open(1, "wb", closefd=False) as output:  # a descriptor, no path
            output.write(text.encode())
    except OSError as error:
        raise NetkitError(f"--dump-config: standard output: {error.strerror}") from None
