"""One run of ``netkit connect``: dial, set up our side, relay, close everything."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from netkit.addresses import Address
from netkit.clients.connect import hexdump, recording
from netkit.clients.connect.channel import Channel
from netkit.clients.connect.dialing import Route, dial, dial_until_up
from netkit.clients.connect.failures import explain
from netkit.clients.connect.local import Local
from netkit.clients.connect.negotiated import explain_connection
from netkit.clients.connect.relay import Tap, relay
from netkit.clients.connect.text import CRLF, Harmless
from netkit.errors import NetkitError, UsageError
from netkit.stdio import Lane, Streams

Say = Callable[[str], None]
"""Tells the person a line, on standard error."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a session behaves; times are in seconds."""

    idle: float | None = None
    retry: bool = False
    retry_for: float | None = None
    crlf: bool = False
    hexdump: bool = False
    record: Path | None = None
    verbose: bool = False


@dataclass(frozen=True, slots=True)
class Standard:
    """Standard input, output and error as descriptors; None: closed. They stay open."""

    stdin: int | None
    stdout: int | None
    stderr: int | None


async def converse(route: Route, settings: Settings, standard: Standard, say: Say) -> None:
    """Run a session to its end.

    Raises `NetworkError`, `UsageError`, `NetkitError` for our own input and output, and
    `OutputClosedError` when nobody reads our output any more.
    """
    with ExitStack() as stack:
        file = stack.enter_context(_open(settings.record)) if settings.record else None
        channel = await _dial(route, settings, say)
        try:
            if settings.verbose:
                for text in explain_connection(channel, route.address):
                    say(text)
            local = _local(stack, settings, standard, say)
            taps = [hexdumps(local)] if settings.hexdump else []
            if file:
                taps.append(_recorder(stack, file, route.address))
            outgoing = CRLF() if settings.crlf else None
            await relay(local, channel, idle=settings.idle, outgoing=outgoing, taps=taps)
            await channel.close()
        except OSError as error:
            raise explain(error, route.address, route.name) from error
        finally:
            await channel.abort()
            if settings.verbose and channel.dropped:
                say(
                    f"{channel.dropped} datagrams came faster than they were read, and were dropped"
                )


async def _dial(route: Route, settings: Settings, say: Say) -> Channel:
    if settings.retry or settings.retry_for is not None:
        return await dial_until_up(route, limit=settings.retry_for, waiting=say)
    return await dial(route)


def _local(stack: ExitStack, settings: Settings, standard: Standard, say: Say) -> Local:
    typed, shown = _is_terminal(standard.stdin), _is_terminal(standard.stdout)
    # A terminal must not obey the peer. Under --hex, the dump says it all there.
    show = (_nothing if settings.hexdump else Harmless()) if shown else None
    if typed and shown and show:
        try:
            from netkit.clients.connect.terminal import Terminal, history_file
        except ModuleNotFoundError:
            if settings.verbose:
                say("for line editing and history: pip install 'netkit-serve[terminal]'")
        else:
            streams = stack.enter_context(closing(Streams(None, standard.stdout, standard.stderr)))
            return Terminal(streams, show, history_file())
    return stack.enter_context(
        closing(Streams(standard.stdin, standard.stdout, standard.stderr, show))
    )


def _is_terminal(fd: int | None) -> bool:
    return fd is not None and os.isatty(fd)


def _nothing(data: bytes) -> bytes:
    return b""


def hexdumps(local: Local) -> Tap:
    """Dump both directions to standard error, each counting its own bytes."""
    offsets = {">": 0, "<": 0}

    async def tap(way: str, data: bytes) -> None:
        # In parts: a quarter of a megabyte is a dump of 16,384 lines.
        for start in range(0, len(data), 4096):
            part = data[start : start + 4096]
            rows = hexdump.dump(part, way=way, offset=offsets[way])
            offsets[way] += len(part)
            await local.note("".join(f"{row}\n" for row in rows))

    return tap


def _open(path: Path) -> BinaryIO:
    try:
        # It holds what was said, passwords too.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"--record {path}: {error.strerror}; name a file to write") from error
    return os.fdopen(descriptor, "wb", buffering=0)


def _recorder(stack: ExitStack, file: BinaryIO, address: Address) -> Tap:
    loop = asyncio.get_running_loop()
    lane = stack.enter_context(closing(Lane("record")))
    start = loop.time()
    lines: Iterator[str] = iter([recording.header(str(address), datetime.now(UTC))])

    async def tap(way: str, data: bytes) -> None:
        chunk = recording.Chunk(loop.time() - start, way, data)
        text = "".join(f"{line}\n" for line in (*lines, recording.line(chunk)))
        try:
            await lane.call(file.write, text.encode())
        except OSError as error:
            raise NetkitError(f"--record {file.name}: {error.strerror}") from error

    return tap
