"""The admin endpoint's paths and its listener.

=============== ==============================================================
``/metrics``     figures for Prometheus
``/healthz``     200 as long as the loop turns
``/readyz``      200 while it accepts connections; 503 while it starts or drains
``/connections`` every open connection, as JSON
``/workers``     every worker with its figures, as JSON
=============== ==============================================================

On a Unix socket, whose mode lets in its owner alone, also what changes something
or tells of the inside:

=================================== =====================================
``GET /tasks``                       every asyncio task, and where it waits
``POST /kick?worker=1&id=7``         cut a connection (``&pid=`` where two have its number)
``POST /reload``                     as HUP does
``POST /drain``                      as TERM does
``POST /scale?workers=4``            have so many workers
=================================== =====================================
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from netkit import endpoints
from netkit.addresses import Address
from netkit.admin import metrics
from netkit.admin.source import Source

MOST_WORKERS = 1024

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@asynccontextmanager
async def administering(source: Source, address: Address) -> AsyncIterator[Address]:
    """Answer on `address` for the length of the block; gives the address with the real port.

    Raises `StartError` if it cannot be bound.
    """
    (endpoint, *others) = endpoints.bind(address)
    for other in others:
        other.close()
    runner = web.AppRunner(
        application(source, may_change=address.scheme == "unix"), access_log=None
    )
    try:
        await runner.setup()
        await web.SockSite(runner, endpoint.sock).start()
        yield endpoint.address
    finally:
        await runner.cleanup()
        endpoint.close()


def application(source: Source, *, may_change: bool) -> web.Application:
    """The application, with the paths that change something only where they may."""
    pages = Pages(source)
    app = web.Application()
    app.router.add_get("/metrics", pages.metrics)
    app.router.add_get("/healthz", pages.healthz)
    app.router.add_get("/readyz", pages.readyz)
    app.router.add_get("/connections", pages.connections)
    app.router.add_get("/workers", pages.workers)
    if may_change:
        app.router.add_get("/tasks", pages.tasks)
        app.router.add_post("/kick", pages.kick)
        app.router.add_post("/reload", pages.reload)
        app.router.add_post("/drain", pages.drain)
        app.router.add_post("/scale", pages.scale)
    return app


class Pages:
    """One coroutine for each path."""

    def __init__(self, source: Source) -> None:
        self._source = source

    async def metrics(self, _: web.Request) -> web.Response:
        """Figures for Prometheus."""
        body = metrics.text(await self._source.report())
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})

    async def healthz(self, _: web.Request) -> web.Response:
        """It answers, so the loop turns."""
        return web.Response(text="ok\n")

    async def readyz(self, _: web.Request) -> web.Response:
        """Whether it accepts connections."""
        if self._source.ready():
            return web.Response(text="ready\n")
        return web.Response(status=503, text="not ready: it starts or drains\n")

    async def connections(self, _: web.Request) -> web.Response:
        """Every open connection."""
        return web.json_response(await self._source.connections())

    async def workers(self, _: web.Request) -> web.Response:
        """Every worker."""
        return web.json_response(await self._source.workers())

    async def kick(self, request: web.Request) -> web.Response:
        """Cut one connection."""
        try:
            worker, number = int(request.query.get("worker", "0")), int(request.query["id"])
            pid = int(request.query["pid"]) if "pid" in request.query else None
        except (KeyError, ValueError):
            return web.Response(status=400, text="give ?worker=NUMBER&id=NUMBER\n")
        if await self._source.kick(worker, number, pid):
            return web.Response(text="cut\n")
        return web.Response(status=404, text=f"no connection {number} of worker {worker}\n")

    async def tasks(self, _: web.Request) -> web.Response:
        """Every task and where it waits."""
        return web.json_response(await self._source.tasks())

    async def reload(self, _: web.Request) -> web.Response:
        """As HUP does; the log says how it went."""
        signal.raise_signal(signal.SIGHUP)
        return web.Response(status=202, text="reloading\n")

    async def drain(self, _: web.Request) -> web.Response:
        """As TERM does."""
        signal.raise_signal(signal.SIGTERM)
        return web.Response(status=202, text="draining\n")

    async def scale(self, request: web.Request) -> web.Response:
        """Have so many workers, and answer when they serve."""
        text = request.query.get("workers", "")
        count = int(text) if text.isascii() and text.isdigit() else 0
        if not 1 <= count <= MOST_WORKERS:
            return web.Response(status=400, text=f"give ?workers=NUMBER, 1 to {MOST_WORKERS}\n")
        if await self._source.scale(count):
            return web.Response(text=f"workers: {count}\n")
        return web.Response(status=409, text="not scaled: one process, or a worker that fails\n")
