"""``netkit listen``: hear what is broadcast, and what is lost of it."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import IO, Annotated

import typer

from netkit.addresses import Address, parse
from netkit.cli import named
from netkit.clients.listen.session import Outcome, Session, Standard
from netkit.clients.listen.settings import How, Outgoing, Remarks, Until, Where, Wishes
from netkit.errors import UsageError
from netkit.feeds.discovery import is_name
from netkit.feeds.sockets import BUFFER
from netkit.loops import loop_factory
from netkit.signals import die_by
from netkit.stdio import OutputClosedError

EPILOG = (
    "Examples:\n\nnetkit listen 239.1.2.3:9999 --interface eth0 --stats"
    "\n\nnetkit listen '\\[ff15::1234%eth0]:9999' --json | jq .payload"
    "\n\nnetkit listen 232.1.2.3:9999 --source 192.0.2.1 --fail-on-loss"
    "\n\nnetkit listen 239.1.2.3:9999 --exec 'logger -t beacon'"
    "\n\nnetkit listen 'Line 3'"
    "\n\nnetkit listen --subscribe broadcaster.example:9998 --record feed.jsonl"
    "\n\nnetkit listen --raw 0.0.0.0:9999 --pcap feed.pcap --no-print"
)


def listen(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ADDR:PORT|NAME",
            help="Multicast group, broadcast address or address of ours, IPv6 as "
            "\\[ff15::1]:9999; or the name that one feed announces (netkit discover).",
            show_default=False,
        ),
    ] = None,
    subscribe: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Have the feed sent to us by this broadcaster."),
    ] = None,
    interface: Annotated[
        str,
        typer.Option(metavar="NAME|ADDRESS", help="Join groups on this interface."),
    ] = "",
    source: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="Of groups, hear this sender only; may be repeated."),
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Payloads without netkit's header: no sequence, no loss.")
    ] = False,
    key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Take only what is sealed with this key."),
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair/--no-repair", help="Ask the sender for what is missing.")
    ] = True,
    hold: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="Longest wait for a missing one, if unasked for."),
    ] = 0.1,
    count: Annotated[
        int | None, typer.Option("--count", "-c", metavar="N", help="End after N messages.")
    ] = None,
    duration: Annotated[
        float | None, typer.Option("--duration", "-d", metavar="SECONDS", help="End then.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", "-k", help="Stay after the end of the feeds, which ends us.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print an object for each message, one a line.")
    ] = False,
    null: Annotated[
        bool, typer.Option("--null", "-0", help="NUL behind each payload instead of a newline.")
    ] = False,
    newline: Annotated[
        bool, typer.Option("--newline/--no-newline", help="Newline behind each payload.")
    ] = True,
    printed: Annotated[
        bool | None,
        typer.Option("--print/--no-print", help="Print; by default unless --exec is given."),
    ] = None,
    execute: Annotated[
        str | None,
        typer.Option("--exec", metavar="COMMAND", help="Run for each message: payload on stdin."),
    ] = None,
    exec_jobs: Annotated[
        int, typer.Option(metavar="N", help="Commands that run at the same time.")
    ] = 1,
    pcap: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep datagrams as a capture.")
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep messages, for serve broadcast --replay."),
    ] = None,
    stats: Annotated[
        bool, typer.Option("--stats", help="A line on standard error each second.")
    ] = False,
    stats_every: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="As --stats, but so often.")
    ] = None,
    stats_json: Annotated[
        bool, typer.Option("--stats-json", help="Statistics as JSON, live and at the end.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary at the end.")] = False,
    fail_on_loss: Annotated[
        bool, typer.Option("--fail-on-loss", help="Exit with 1 if anything was lost for good.")
    ] = False,
    buffer: Annotated[
        int, typer.Option(metavar="BYTES", help="Receive buffer of each socket.")
    ] = BUFFER,
    offload: Annotated[
        bool, typer.Option("--offload/--no-offload", help="Read many datagrams at once (Linux).")
    ] = True,
    loop: Annotated[
        str, typer.Option(metavar="auto|asyncio|uvloop", help="Event loop to run on.")
    ] = "auto",
) -> None:
    """Hear numbered datagrams in order, have lost ones sent again, and say what was lost.

    Ends when every feed that was heard was ended by its sender (--keep: stays),
    after --count or --duration, or by a signal. What came is on standard output,
    what is said of it on standard error.
    """
    for flag, number in (
        ("--hold", hold), ("--count", count), ("--duration", duration),
        ("--exec-jobs", exec_jobs), ("--stats-every", stats_every), ("--buffer", buffer),
    ):  # fmt: skip
        if number is not None and not 0 < number < float("inf"):
            raise UsageError(f"{flag} {number:g}: give a number above 0")
    if raw and (key or subscribe):
        flag = "--key" if key else "--subscribe"
        raise UsageError(f"--raw {flag}: that needs the header; leave one of them out")
    if as_json + null + (not newline) > 1:
        raise UsageError("--json, --null and --no-newline: give one of them")
    prints = execute is None if printed is None else printed
    name = targets[0] if targets and len(targets) == 1 and is_name(targets[0]) else None
    where = Where(
        tuple(_address(text) for text in targets or () if text != name),
        interface,
        tuple(source or ()),
        _server(subscribe) if subscribe else None,
        buffer=buffer,
    )
    if name:
        where, raw = _named(name, where, raw, key, loop)
    _check(where)
    outgoing = Outgoing(
        ("json" if as_json else "text") if prints else "",
        b"\0" if null else b"\n" if newline else b"",
        execute,
        exec_jobs,
        pcap,
        record,
    )
    interval = stats_every or (1.0 if stats else None)
    outcome = _run(
        Wishes(
            where,
            How(raw, key, repair, hold, offload),
            Until(count, duration, keep),
            outgoing,
            Remarks(interval, stats_json, quiet),
        ),
        loop,
    )
    if fail_on_loss and outcome.lost:
        raise typer.Exit(1)


def _named(name: str, where: Where, raw: bool, key: Path | None, loop: str) -> tuple[Where, bool]:
    """Where the feed of this name is heard, and whether it is raw."""
    try:
        where, announced = named.where(name, where, loop)
    except KeyboardInterrupt:
        die_by(signal.SIGINT)
        raise
    if announced.raw and key:
        raise UsageError(f"{name} --key: its datagrams are raw, nothing is sealed; leave --key out")
    return where, raw or announced.raw


def _check(where: Where) -> None:
    if bool(where.addresses) == bool(where.subscribe):
        raise UsageError("say what to listen to: ADDR:PORT, such as 239.1.2.3:9999, or --subscribe")
    if where.subscribe and (where.sources or where.interface):
        flag = "--source" if where.sources else "--interface"
        raise UsageError(f"{flag} is for groups: leave it out with --subscribe")


def _address(text: str) -> Address:
    return _udp(parse(text, default_scheme="udp", flag="listen"), text)


def _server(text: str) -> Address:
    address = parse(text, default_scheme="udp", default_host="localhost", flag="--subscribe")
    if not address.port:
        raise UsageError(f"--subscribe {text}: port 0 is no sender's; give the one it listens on")
    return _udp(address, text)


def _udp(address: Address, text: str) -> Address:
    if address.scheme != "udp":
        raise UsageError(f"{text}: feeds are UDP; write it like 239.1.2.3:9999")
    return address


def _run(wishes: Wishes, loop: str) -> Outcome:
    standard = Standard(_descriptor(sys.stdout), _descriptor(sys.stderr))

    async def session() -> Outcome:
        return await Session(wishes, standard).run()

    ended = Outcome(lost=False, signal=None)
    try:
        with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
            ended = runner.run(session())
    except KeyboardInterrupt:  # before the session heeds it
        die_by(signal.SIGINT)
    except OutputClosedError:
        die_by(signal.SIGPIPE)
    if ended.signal is not None:
        die_by(ended.signal)
    return ended


def _descriptor(stream: IO[str] | None) -> int | None:
    # None where the descriptor was closed at start: its number may be a socket's by now.
    return None if stream is None else stream.fileno()
