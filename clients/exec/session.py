"""One run of ``netkit exec``: connect, do what was asked, close."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from netkit.clients.connect.dialing import Route
from netkit.clients.exec import codes
from netkit.clients.exec.job import Following
from netkit.clients.exec.link import FailedError, Link, read, refusal
from netkit.clients.exec.settings import Standard, Wish
from netkit.jobs.frames import Kind
from netkit.jobs.messages import Exit, Kill, Listed, encode

Say = Callable[[str], None]
"""Tells the person a line, on standard error."""


async def execute(
    route: Route, wish: Wish, standard: Standard, say: Say, show: Callable[[str], None]
) -> int:
    """Run a command, or watch a detached one; its exit status.

    One that is detached is left at once: `show` gets its id. Raises what `Following.run` does.
    """
    async with _linked(route) as link:
        end = await Following(link, wish, standard, say).run()
    if isinstance(end, str):
        show(end)
        return 0
    if remark := codes.remark(end):
        say(f"{wish.name or wish.attach}: {remark}")
    return codes.status(end)


async def listing(route: Route) -> list[Listed]:
    """Our detached jobs, oldest first. Raises `FailedError`."""
    found: list[Listed] = []
    async with _linked(route) as link:
        await link.send(Kind.LIST)
        while True:
            frame = await link.receive()
            if frame.kind is Kind.ERROR:
                raise refusal(frame)
            if frame.kind is not Kind.LISTED:
                continue
            if not frame.payload:
                return found
            found.append(read(Listed, frame))


async def kill(route: Route, number: str) -> Exit:
    """End a detached job, and wait for its end. Raises `FailedError`."""
    async with _linked(route) as link:
        await link.send(Kind.KILL, encode(Kill(number)))
        while True:
            frame = await link.receive()
            if frame.kind is Kind.ERROR:
                raise refusal(frame)
            if frame.kind is Kind.EXIT:
                return read(Exit, frame)


@asynccontextmanager
async def _linked(route: Route) -> AsyncIterator[Link]:
    link = await Link.open(route)
    try:
        yield link
    finally:
        await link.close()


__all__ = ["FailedError", "Say", "execute", "kill", "listing"]
