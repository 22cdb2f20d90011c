"""The ``netkit`` command: one file per verb; parse, call, print.

========== =====================================================
`serve`    run a server
`asked`    what is asked of a server, by whatever way it came
`start`    what was asked for becomes a process, or several
`connect`  talk to one
`listen`   hear what is broadcast
`discover` which feeds are announced on the network
`run`      run commands, many at a time
`exec`     run a command that a runner elsewhere allows
`calling`  flags of whoever calls a server by TLS
`named`    feeds by such a name
`ctl`      ask and steer a server that runs
`top`      watch one, live
`systemd`  units that run one as a service
`certs`    the development CA and certificates
`keys`     keys of sealed feeds
`settings` dataclasses become flags, variables and keys
`config`   settings from a TOML file
`dump`     settings as such a file
`line`     a first look at the words, before they are parsed
`standing` settings that a reload cannot change
`watching` the admin endpoint, and who holds up the loop
`banner`   what to type against a server

`admin_client` asks a server's admin endpoint, for `ctl` and `top`
`printable`    what others said, fit for a terminal
========== =====================================================
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from netkit import allocator
from netkit.errors import NetkitError
from netkit.tls import groups
from netkit.version import __version__


def application(argv: Sequence[str]) -> typer.Typer:
    """The command for this command line: ``serve`` also has the flags of its target."""
    app = typer.Typer(
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
    )
    app.callback()(_netkit)
    verb = argv[0] if argv else ""
    # The verb that is run alone, or all for the list: each looks at files and variables.
    for name in (verb,) if verb in VERBS else VERBS:
        VERBS[name](app, argv[1:] if name == verb else ("--help",))
    return app


def _serve(app: typer.Typer, words: Sequence[str]) -> None:
    from netkit.cli import serve

    app.command("serve")(serve.command(words))


def _connect(app: typer.Typer, _: Sequence[str]) -> None:
    from netkit.cli.connect import connect

    app.command("connect")(connect)


def _listen(app: typer.Typer, _: Sequence[str]) -> None:
    from netkit.cli import listen

    app.command("listen", epilog=listen.EPILOG)(listen.listen)


def _discover(app: typer.Typer, _: Sequence[str]) -> None:
    from netkit.cli import discover

    app.command("discover", epilog=discover.EPILOG)(discover.discover)


def _run(app: typer.Typer, _: Sequence[str]) -> None:
    from netkit.cli import run

    app.command("run", cls=run.RunCommand, context_settings=run.CONTEXT, epilog=run.EPILOG)(run.run)


def _exec(app: typer.Typer, _: Sequence[str]) -> None:
    from netkit.cli import exec as verb

    app.command("exec", context_settings=verb.SETTINGS, epilog=verb.EPILOG)(verb.run)


def _systemd(app: typer.Typer, words: Sequence[str]) -> None:
    from netkit.cli import systemd

    app.command("systemd")(systemd.command(words))


def _certs(app: typer.Typer, _: Sequence[str]) -> None:
    from netkit.cli import certs

    app.add_typer(certs.app, name="certs")


def _keys(app: typer.Typer, _: Sequence[str]) -> None:
    from netkit.cli import keys

    app.add_typer(keys.app, name="keys")


def _ctl(app: typer.Typer, _: Sequence[str]) -> None:
    from netkit.cli import ctl

    app.add_typer(ctl.app, name="ctl")


def _top(app: typer.Typer, _: Sequence[str]) -> None:
    from netkit.cli.top import command

    app.command("top", epilog=command.EPILOG)(command.top)


VERBS = {
    "serve": _serve,
    "connect": _connect,
    "listen": _listen,
    "discover": _discover,
    "run": _run,
    "exec": _exec,
    "systemd": _systemd,
    "ctl": _ctl,
    "top": _top,
    "certs": _certs,
    "keys": _keys,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; exit with 0, 1 (network), 2 (usage) or 3 (could not start)."""
    _keep_standard_numbers()
    words = (sys.argv[1:] if argv is None else list(argv)) or ["--help"]
    if words == ["--version"]:  # needs no parser, and no look at every verb
        _print_version()
        sys.exit(0)
    groups.own_process()
    allocator.keep_reads()
    try:
        # Not standalone: an error is one line here, not a box.
        status = application(words)(words, prog_name="netkit", standalone_mode=False)
    except NetkitError as error:
        _fail(str(error), error.exit_code)
    except typer.Abort:
        sys.exit(130)
    except Exception as error:  # the parser's own errors have no public base class
        say = getattr(error, "format_message", None)
        if say is None:
            raise
        # A usage error of the command line's parser: typer.BadParameter and its kin.
        _fail(f"{say()} (netkit {' '.join(words[:1])} --help)", 2)
    sys.exit(status if isinstance(status, int) else 0)


def _keep_standard_numbers() -> None:
    """Fill closed descriptors 0 to 2: a socket there would be somebody's standard output.

    libuv aborts the process when it closes one of its own with such a number.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


def _fail(line: str, status: int) -> None:
    print(f"netkit: error: {' '.join(line.split())}", file=sys.stderr)
    # Not sys.exit alone: a closed stderr must not change the status.
    sys.stderr.flush()
    sys.exit(status)


def _version(wanted: bool) -> None:
    if wanted:
        _print_version()
        raise typer.Exit


def _print_version() -> None:
    print(f"netkit {__version__}")


def _netkit(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print it and exit")
    ] = False,
) -> None:
    """Run raw asyncio servers: TCP, TLS, Unix sockets and UDP."""
