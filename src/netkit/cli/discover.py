"""``netkit discover``: which feeds are announced on the network."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from netkit.cli.printable import printable
from netkit.cli.top.columns import Column, entry
from netkit.cli.top.plain import lined_up
from netkit.cli.top.rates import Row
from netkit.clients.discover.found import Found
from netkit.errors import UsageError
from netkit.feeds import mdns
from netkit.loops import loop_factory
from netkit.plurals import counted
from netkit.signals import die_by

EPILOG = (
    "Examples:\n\nnetkit discover"
    "\n\nnetkit discover --interface eth0 --timeout 10"
    "\n\nnetkit discover --json | jq -r '.[].name'"
)
LONGEST = 60.0
"""Seconds to listen, at most: what is there answers within two."""


def discover(
    timeout: Annotated[
        float, typer.Option("--timeout", "-t", metavar="SECONDS", help="How long to listen.")
    ] = 3.0,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
    interface: Annotated[
        str,
        typer.Option(metavar="NAME|ADDRESS", help="Look there only.", show_default="all"),
    ] = "",
    loop: Annotated[
        str, typer.Option(metavar="auto|asyncio|uvloop", help="Event loop to run on.")
    ] = "auto",
) -> None:
    """List the feeds that netkit serve broadcast --announce tells of on this network (DNS-SD).

    What is listed is what somebody says: with --key a listener knows who sends.
    """
    if not 0 < timeout <= LONGEST:
        raise UsageError(f"--timeout {timeout:g}: give more than 0 and at most {LONGEST:g} seconds")
    found, malformed = _browsed(timeout, interface, loop)
    entries = [_entry(each) for each in found]
    if as_json:
        print(json.dumps(entries, indent=1))
    elif entries:
        print("\n".join(lined_up(COLUMNS, map(Row, entries))))
    if not entries and not as_json:
        print(f"no feed was announced within {timeout:g} s", file=sys.stderr)
    if malformed:
        others = counted(malformed, "announcement")
        print(f"{others} left out: not of a feed this netkit can hear", file=sys.stderr)


def _browsed(timeout: float, interface: str, loop: str) -> tuple[list[Found], int]:
    mdns.require()
    from netkit.clients.discover.browsing import browse  # it needs an extra

    try:
        with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
            return runner.run(browse(timeout, interface))
    except KeyboardInterrupt:
        die_by(signal.SIGINT)
        raise


def _entry(found: Found) -> dict[str, Any]:
    announced, subscribe = found.announced, found.subscribe
    return {
        "name": found.name,
        "host": found.host,
        "addresses": [str(ip) for ip in found.addresses],
        "interface": found.interface,
        "sender": None if announced.sender is None else f"{announced.sender:08x}",
        "raw": announced.raw,
        "seal": announced.seal,
        "to": [each.authority for each in announced.destinations],
        "subscribe": None if subscribe is None else subscribe.authority,
    }


def _ways(row: Row) -> Sequence[str]:
    subscribe = row.entry["subscribe"]
    return [*row.entry["to"], *([f"subscribe {subscribe}"] if subscribe else [])]


COLUMNS = (
    Column("NAME", entry("name"), printable, 30, is_text=True),
    Column("HOST", entry("host"), printable, 40, is_text=True),
    Column("ON", entry("interface"), printable, 15, is_text=True),
    Column("SENDER", lambda row: row.entry["sender"] or "raw", str, 8, is_text=True),
    Column("SEAL", entry("seal"), str, 7, is_text=True),
    Column("TO", _ways, ", ".join, 60, is_text=True),
)
