"""``netkit exec``: run what a ``netkit serve runner`` allows, as ssh would."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Coroutine
from typing import IO, Annotated, TypeVar

import typer

from netkit.addresses import Address, parse
from netkit.cli.calling import CaCerts, Cert, Insecure, Key, ServerName, UseTLS
from netkit.cli.printable import printable
from netkit.clients.connect.dialing import Route
from netkit.clients.exec.session import execute, kill, listing
from netkit.clients.exec.settings import PORT, Standard, Wish
from netkit.clients.exec.signals import LeftError
from netkit.errors import UsageError
from netkit.jobs.messages import Listed
from netkit.loops import loop_factory
from netkit.signals import die_by
from netkit.stdio import OutputClosedError
from netkit.tls.client import client_context

T = TypeVar("T")

EPILOG = (
    "Examples:\n\nnetkit exec localhost uptime\n\n"
    "netkit exec --tls --cert alice.pem build.example ping 192.0.2.1\n\n"
    "netkit exec --detach unix:/run/runner.sock backup"
)
SETTINGS = {"allow_interspersed_args": False}
"""What comes after HOST is the command's, options too."""


def run(
    target: Annotated[
        str,
        typer.Argument(
            metavar="HOST",
            help=f"Where the runner is: HOST, HOST:PORT (default {PORT}), tls://… or unix:PATH.",
            show_default=False,
        ),
    ],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME [ARG]…",
            help="What to run, and values for its parameters.",
            show_default=False,
        ),
    ] = None,
    named: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A parameter by its name; repeatable."),
    ] = None,
    terminal: Annotated[
        bool, typer.Option("--terminal", "-t", help="Give it a terminal; ~. leaves it.")
    ] = False,
    no_input: Annotated[
        bool, typer.Option("--no-input", "-n", help="Do not read standard input.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Let it run on, and print its id.")
    ] = False,
    show_list: Annotated[bool, typer.Option("--list", help="List your detached jobs.")] = False,
    attach: Annotated[
        str, typer.Option(metavar="ID", help="Watch a detached job, from what is held of it.")
    ] = "",
    end: Annotated[str, typer.Option("--kill", metavar="ID", help="End a detached job.")] = "",
    tls: UseTLS = False,
    ca_certs: CaCerts = None,
    cert: Cert = None,
    key: Key = None,
    insecure: Insecure = False,
    servername: ServerName = "",
    wait: Annotated[
        float,
        typer.Option("--wait", "--connect-timeout", "-w", metavar="SECONDS", help="To connect."),
    ] = 10.0,
    loop: Annotated[
        str, typer.Option(metavar="auto|asyncio|uvloop", help="Event loop to run on.")
    ] = "auto",
) -> None:
    """Run a command that a runner allows, with its streams, signals and exit status here."""
    if not 0 < wait < float("inf"):
        raise UsageError(f"--wait {wait:g}: give a number of seconds above 0")
    address = _address(target, tls=tls)
    secure = tls or address.scheme == "tls"
    if not secure and any((ca_certs, cert, key, insecure, servername)):
        raise UsageError("--ca-certs, --cert, --key, --insecure and --servername need --tls")
    context = None
    if secure:
        context = client_context(ca_certs=ca_certs, cert=cert, key=key, insecure=insecure)
    route = Route(address, context=context, servername=servername, timeout=wait)
    modes = {"--list": show_list, "--attach": attach, "--kill": end, "NAME": words}
    given = [flag for flag, value in modes.items() if value]
    if len(given) != 1:
        raise UsageError("say one thing to do: NAME to run it, --list, --attach ID or --kill ID")
    if not words and (named or terminal or detach):
        raise UsageError("--set, --terminal and --detach are for a command: give its NAME")
    if show_list:
        _show(_run(listing(route), loop))
    elif end:
        _run(kill(route, end), loop)
    else:
        wish = _wish(words or [], named or [], terminal, detach, no_input, attach)
        raise typer.Exit(_run(execute(route, wish, _standard(), _say, print), loop))


def _wish(
    words: list[str], named: list[str], terminal: bool, detach: bool, no_input: bool, attach: str
) -> Wish:
    if detach and terminal:
        raise UsageError("--detach --terminal: nobody would sit at it; leave one of them out")
    pairs = {}
    for each in named:
        name, equals, value = each.partition("=")
        if not name or not equals:
            raise UsageError(f"--set {each}: write it like --set count=3")
        if name in pairs:
            raise UsageError(f"--set {name}: is given twice")
        pairs[name] = value
    for text in (*words, *pairs.values()):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{text!a} is not UTF-8, as arguments are here") from None
    name, *arguments = words or [""]
    return Wish(name, tuple(arguments), pairs, terminal, detach, no_input, attach)


def _run(what: Coroutine[None, None, T], loop: str) -> T:
    try:
        with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
            return runner.run(what)
    except KeyboardInterrupt:
        number = signal.SIGINT
    except LeftError as left:
        number = left.number
    except OutputClosedError:
        number = signal.SIGPIPE
    die_by(number)
    raise AssertionError("a signal's default action ends the process")


def _show(jobs: list[Listed]) -> None:
    for job in jobs:
        began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(job.began))
        code = job.status if job.signal is None else 128 + job.signal
        state = job.state if code is None else f"exit {code}"
        print(f"{printable(job.id)}  {began}  {state:8}  {job.output:10} B  {printable(job.name)}")


def _address(text: str, *, tls: bool) -> Address:
    scheme = "tls" if tls else "tcp"
    address = parse(_with_port(text), default_scheme=scheme, flag="HOST")
    if address.scheme not in ("tcp", "tls", "unix"):
        raise UsageError(f"{address}: a runner is at HOST:PORT, tls://HOST:PORT or unix:PATH")
    return address


def _with_port(text: str) -> str:
    """The address with our port, where it names none."""
    scheme, separator, rest = text.rpartition("://")
    if text.startswith("unix:") or rest.isdigit():
        return text
    if rest.count(":") > 1 and not rest.startswith("["):
        rest = f"[{rest}]"  # an IPv6 address alone
    if rest.endswith("]") or ":" not in rest:
        rest += f":{PORT}"
    return f"{scheme}{separator}{rest}"


def _standard() -> Standard:
    return Standard(_descriptor(sys.stdin), _descriptor(sys.stdout), _descriptor(sys.stderr))


def _descriptor(stream: IO[str] | None) -> int | None:
    # None where the descriptor was closed at start: its number may be a socket's by now.
    return None if stream is None else stream.fileno()


def _say(text: str) -> None:
    if sys.stderr is not None:
        typer.echo(f"netkit: {text}", err=True)
