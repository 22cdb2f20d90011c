"""Well-behaved clients of an echo server, and how long each of their answers took."""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import dataclass, field
from math import nan
from statistics import quantiles

import uvloop

REGULARS = 20
MESSAGE_EVERY = 0.02
VISIT_EVERY = 0.025
MESSAGE = b"x" * 63 + b"\n"


@dataclass(frozen=True)
class Waits:
    """Seconds until the answer to each message, and until the first answer to each newcomer."""

    messages: list[float] = field(default_factory=list)
    visits: list[float] = field(default_factory=list)


def p99_ms(waits: list[float]) -> float:
    """The 99th percentile in milliseconds; nan if there is none."""
    if len(waits) < 2:  # in a quick run on a busy machine
        return waits[0] * 1e3 if waits else nan
    return quantiles(waits, n=100, method="inclusive")[98] * 1e3


def visit(port: int, *, tls: bool, seconds: float) -> Waits:
    """Some regulars with a message every 20 ms each, and a newcomer every 25 ms."""
    context = None
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_visit(port, context, seconds))


async def _visit(port: int, context: ssl.SSLContext | None, seconds: float) -> Waits:
    waits = Waits()

    async def connected() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        streams = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        await answered(*streams)
        return streams

    async def regular(
        late: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await asyncio.sleep(late)  # spread over the period
        while (began := time.monotonic()) < over:
            await answered(reader, writer)
            now = time.monotonic()
            waits.messages.append(now - began)
            await asyncio.sleep(max(0, began + MESSAGE_EVERY - now))  # the pace of messages
        writer.transport.abort()

    async def newcomer() -> None:
        began = time.monotonic()
        _, writer = await connected()
        waits.visits.append(time.monotonic() - began)
        writer.transport.abort()

    async with asyncio.TaskGroup() as group:
        arriving = [group.create_task(connected()) for _ in range(REGULARS)]
    over = time.monotonic() + seconds  # the time of those who are there, however long they came
    async with asyncio.TaskGroup() as group:
        for number, streams in enumerate(arriving):
            group.create_task(regular(number * MESSAGE_EVERY / REGULARS, *streams.result()))
        while time.monotonic() < over:
            group.create_task(newcomer())
            await asyncio.sleep(VISIT_EVERY)  # the pace of visits
    return waits


async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a message and read it back whole."""
    writer.write(MESSAGE)
    assert await reader.readexactly(len(MESSAGE)) == MESSAGE
