"""The ``netkit`` command: one file per verb; parse, call, print.

========== ==============================================
`serve`    run a server
`connect`  talk to one
`certs`    the development CA and certificates
`settings` dataclasses become options
`banner`   what to type against a server
========== ==============================================
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from netkit.errors import NetkitError
from netkit.version import __version__


def application(argv: Sequence[str]) -> typer.Typer:
    """The command for this command line: ``serve`` also has the flags of its target."""
    from netkit.cli import certs, serve
    from netkit.cli.connect import connect

    app = typer.Typer(
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
    )
    app.callback()(_netkit)
    after = argv[1:] if argv and argv[0] == "serve" else ()
    app.command("serve")(serve.command(after))
    app.command("connect")(connect)
    app.add_typer(certs.app, name="certs")
    return app


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; exit with 0, 1 (network), 2 (usage) or 3 (could not start)."""
    _keep_standard_numbers()
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        # Not standalone: an error is one line here, not a box.
        status = application(words)(words, prog_name="netkit", standalone_mode=False)
    except NetkitError as error:
        _fail(str(error), error.exit_code)
    except typer.Abort:
        sys.exit(130)
    except Exception as error:
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
        print(f"netkit {__version__}")
        raise typer.Exit


def _netkit(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print it and exit")
    ] = False,
) -> None:
    """Run raw asyncio servers: TCP, TLS, Unix sockets and UDP."""
