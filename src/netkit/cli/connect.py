"""``netkit connect``: talk to a server from the keyboard or a pipe."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import IO, Annotated

import typer

from netkit.addresses import Address, parse
from netkit.cli.calling import CaCerts, Cert, Insecure, Key, ServerName, UseTLS
from netkit.clients.connect.dialing import Route
from netkit.clients.connect.session import Settings, Standard, converse
from netkit.errors import UsageError
from netkit.loops import loop_factory
from netkit.signals import die_by
from netkit.stdio import OutputClosedError
from netkit.tls.client import client_context


def connect(
    target: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="HOST:PORT",
            help="Where to: HOST:PORT, HOST PORT, tcp:// tls:// udp:// unix: or fd:// address.",
            show_default=False,
        ),
    ] = None,
    tls: UseTLS = False,
    udp: Annotated[bool, typer.Option("--udp", "-u", help="Speak UDP.")] = False,
    unix: Annotated[
        str | None, typer.Option("--unix", "-U", metavar="PATH", help="Connect to a Unix socket.")
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Tell what was connected and negotiated.")
    ] = False,
    ca_certs: CaCerts = None,
    cert: Cert = None,
    key: Key = None,
    insecure: Insecure = False,
    servername: ServerName = "",
    alpn: Annotated[
        list[str] | None, typer.Option(metavar="PROTOCOL", help="Offer it; may be repeated.")
    ] = None,
    hexdump: Annotated[
        bool, typer.Option("--hex", help="Dump both directions to standard error.")
    ] = False,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep both directions, with times.")
    ] = None,
    crlf: Annotated[bool, typer.Option("--crlf", "-C", help="End lines sent with CR LF.")] = False,
    idle_timeout: Annotated[
        float | None,
        typer.Option("--idle-timeout", "-i", metavar="SECONDS", help="End when nothing moves."),
    ] = None,
    wait: Annotated[
        float,
        typer.Option("--wait", "--connect-timeout", "-w", metavar="SECONDS", help="To connect."),
    ] = 10.0,
    retry: Annotated[bool, typer.Option("--retry", help="Try until the server is up.")] = False,
    retry_for: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="As --retry, for so long at most.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(metavar="HOST[:PORT]", help="Come from this address.")
    ] = None,
    loop: Annotated[
        str, typer.Option(metavar="auto|asyncio|uvloop", help="Event loop to run on.")
    ] = "auto",
) -> None:
    """Connect standard input and output to a server over TCP, TLS, UDP or a Unix socket."""
    for flag, seconds in (
        ("--idle-timeout", idle_timeout),
        ("--wait", wait),
        ("--retry-for", retry_for),
    ):
        if seconds is not None and not 0 < seconds < float("inf"):
            raise UsageError(f"{flag} {seconds:g}: give a number of seconds above 0")
    address = _address(target or [], tls=tls, udp=udp, unix=unix)
    secure = tls or address.scheme == "tls"
    tls_options = {
        "--ca-certs": ca_certs,
        "--cert": cert,
        "--key": key,
        "--insecure": insecure,
        "--servername": servername,
        "--alpn": alpn,
    }
    if not secure:
        _refuse([flag for flag, value in tls_options.items() if value], "needs TLS: add --tls")
    if address.scheme == "udp":
        _refuse(["--retry"] if retry or retry_for else [], "has no meaning for UDP: leave it out")
    context = None
    if secure:
        context = client_context(
            ca_certs=ca_certs, cert=cert, key=key, insecure=insecure, alpn=tuple(alpn or ())
        )
    route = Route(
        address,
        source=_source(source, address) if source else None,
        context=context,
        servername=servername,
        timeout=wait,
    )
    settings = Settings(
        idle=idle_timeout,
        retry=retry,
        retry_for=retry_for,
        crlf=crlf,
        hexdump=hexdump,
        record=record,
        verbose=verbose,
    )
    _run(route, settings, loop)


def _run(route: Route, settings: Settings, loop: str) -> None:
    standard = Standard(_descriptor(sys.stdin), _descriptor(sys.stdout), _descriptor(sys.stderr))
    try:
        with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
            runner.run(converse(route, settings, standard, _say))
    except KeyboardInterrupt:
        die_by(signal.SIGINT)
    except OutputClosedError:
        die_by(signal.SIGPIPE)


def _descriptor(stream: IO[str] | None) -> int | None:
    # None where the descriptor was closed at start: its number may be a socket's by now.
    return None if stream is None else stream.fileno()


def _say(text: str) -> None:
    if sys.stderr is not None:
        typer.echo(f"netkit: {text}", err=True)


def _address(words: list[str], *, tls: bool, udp: bool, unix: str | None) -> Address:
    if tls and udp:
        raise UsageError("--tls --udp: TLS needs a stream; leave one of them out")
    if unix is not None:
        if words or udp:
            raise UsageError("--unix PATH stands alone: leave out HOST:PORT and --udp")
        return parse(f"unix:{unix}", flag="--unix")
    if not words or len(words) > 2:
        raise UsageError("say where to connect: HOST:PORT, such as localhost:8000")
    text = words[0]
    if len(words) == 2:
        text = f"[{words[0]}]:{words[1]}" if ":" in words[0] else f"{words[0]}:{words[1]}"
    default = "udp" if udp else "tls" if tls else "tcp"
    address = parse(text, default_scheme=default, default_host="localhost", flag="HOST:PORT")
    if (address.scheme != "udp" and udp) or (address.scheme == "udp" and tls):
        raise UsageError(f"{address} contradicts {'--udp' if udp else '--tls'}: leave one out")
    if address.host and address.port == 0:
        raise UsageError(f"{address}: port 0 is no server's; give the port it listens on")
    return address


def _source(text: str, address: Address) -> Address:
    if not address.host:
        raise UsageError(f"--source: {address} has no address to come from; leave it out")
    whole = f"[{text}]:0" if text.count(":") > 1 and not text.startswith("[") else text
    if ":" not in whole or whole.endswith("]"):
        whole += ":0"
    return parse(whole, flag="--source")


def _refuse(flags: list[str], why: str) -> None:
    if flags:
        raise UsageError(f"{flags[0]} {why}")
