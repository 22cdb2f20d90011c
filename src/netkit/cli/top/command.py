"""The flags of ``netkit top``: a snapshot, or the live view."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from netkit.addresses import Address
from netkit.cli.admin_client import admin_address
from netkit.cli.top import plain
from netkit.cli.top.rates import Picture, compared
from netkit.cli.top.sample import checked_interval, sampled
from netkit.errors import UsageError

if TYPE_CHECKING:
    from netkit.cli.top.view import Top

EPILOG = (
    "Examples:\n\nnetkit top unix:/tmp/echo-admin.sock\n\nnetkit top 127.0.0.1:9100"
    "\n\nnetkit top --once --json --interval 5 127.0.0.1:9100"
)


def top(
    admin: Annotated[
        str,
        typer.Argument(
            metavar="ADMIN",
            help="The server's --admin address: unix:PATH, or HOST:PORT to look only.",
            show_default=False,
        ),
    ],
    interval: Annotated[
        float, typer.Option(metavar="SECONDS", help="From one sample to the next.")
    ] = 1.0,
    once: Annotated[
        bool, typer.Option("--once", help="Print one snapshot, of two samples, and exit.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --once: for scripts.")] = False,
) -> None:
    """Watch a server that runs: workers and connections with their rates, live."""
    checked_interval(interval, "--interval ")
    address = admin_address(admin)
    if as_json and not once:
        raise UsageError("--json: give --once with it")
    if once:
        picture = asyncio.run(snapshot(address, interval))
        print(plain.as_json(picture) if as_json else plain.text(picture, str(address)))
        return
    # The screen is drawn on standard error (textual does).
    if not all(each is not None and each.isatty() for each in (sys.stdin, sys.stdout, sys.stderr)):
        raise UsageError("top: standard input or output is no terminal; add --once")
    view = _view()
    first = asyncio.run(sampled(address))  # no server, no screen: one line says so
    view(address, interval, first).run()


async def snapshot(address: Address, interval: float) -> Picture:
    """Two samples, so many seconds apart."""
    before = await sampled(address)
    await asyncio.sleep(interval)  # what happens meanwhile is what is measured
    return compared(before, await sampled(address))


def _view() -> type[Top]:
    try:
        from netkit.cli.top.view import Top
    except ImportError as error:
        raise UsageError(
            f"top: {error.name} is not installed: pip install 'netkit-serve[top]'; or add --once"
        ) from None
    return Top
