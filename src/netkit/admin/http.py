"""The admin endpoint's paths and its listener.

=============== ==============================================================
``/metrics``     figures for Prometheus
``/healthz``     200 as long as the loop turns
``/readyz``      200 while it accepts connections; 503 while it starts or drains
``/connections`` every open connection, as JSON
=============== ==============================================================

On a Unix socket, whose mode lets in its owner alone, also what changes something:
``POST /kick?worker=1&id=7``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from netkit import endpoints
from netkit.addresses import Address
from netkit.admin import metrics
from netkit.admin.source import Source

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
    if may_change:
        app.router.add_post("/kick", pages.kick)
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

    async def kick(self, request: web.Request) -> web.Response:
        """Cut one connection."""
        try:
            worker, number = int(request.query.get("worker", "0")), int(request.query["id"])
        except (KeyError, ValueError):
            return web.Response(status=400, text="give ?worker=NUMBER&id=NUMBER\n")
        if await self._source.kick(worker, number):
            return web.Response(text="cut\n")
        return web.Response(status=404, text=f"no connection {number} of worker {worker}\n")
